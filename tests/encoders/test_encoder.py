"""The encoder against torchvision's network, strides changed and its last ReLU taken out."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from fsslib.encoders.backbones import BACKBONES
from fsslib.encoders.base import MEAN, STD, normalise, parameter_count
from fsslib.encoders.resnet import ResNet
from tests.support.helpers import one_line


class AllButLast(nn.Module):
    """ReLU that lets the last of `calls` calls through untouched."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.count = calls, 0

    def forward(self, x):
        self.count += 1
        return x if self.count % self.calls == 0 else torch.relu(x)


def torchvision_net(backbone):
    """torchvision's ResNet at stride 8 to layer3, no ReLU at the end; deep stem for `s`."""
    net = getattr(torchvision.models, backbone.rstrip("s"))()
    bottleneck = isinstance(net.layer3[0], Bottleneck)
    if backbone.endswith("s"):
        net.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, 1, 1, bias=False),
        )
        net.bn1 = nn.BatchNorm2d(128)
        net.inplanes = 128
        net.layer1 = net._make_layer(Bottleneck, 64, len(net.layer1))
    first, *others = net.layer3
    (first.conv2 if bottleneck else first.conv1).stride = (1, 1)
    first.downsample[0].stride = (1, 1)
    if not bottleneck:
        first.conv2.dilation = first.conv2.padding = (2, 2)
    for block in others:
        for conv in [block.conv2] if bottleneck else [block.conv1, block.conv2]:
            conv.dilation = conv.padding = (2, 2)
    net.layer3[-1].relu = AllButLast(3 if bottleneck else 2)
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
    return nn.Sequential(*[getattr(net, name) for name in parts]), net


def randomise_norms(module):
    """Batch norms as a trained network has them, none of them the identity."""
    generator = torch.Generator().manual_seed(7)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            size = norm.running_mean.shape
            norm.running_mean.copy_(torch.randn(size, generator=generator) * 0.2)
            norm.running_var.copy_(torch.rand(size, generator=generator) + 0.5)
            with torch.no_grad():
                norm.weight.copy_(torch.rand(size, generator=generator) + 0.5)
                norm.bias.copy_(torch.randn(size, generator=generator) * 0.2)


def pair(backbone):
    """Our encoder and torchvision's, with the same weights, in float64."""
    encoder = ResNet(backbone)
    randomise_norms(encoder)
    reference, net = torchvision_net(backbone)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith(("layer4", "fc"))}
    assert set(encoder.state_dict()) == set(state)
    net.load_state_dict(encoder.state_dict(), strict=False)
    return encoder.double(), reference.double().eval()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("size", [(64, 96), (57, 83)])
def test_every_other_location_is_that_of_the_network_as_it_was_trained(backbone, size):
    encoder = ResNet(backbone)
    randomise_norms(encoder)
    net = getattr(torchvision.models, backbone)()
    net.load_state_dict(encoder.state_dict(), strict=False)
    net.layer3[-1].relu = AllButLast(3 if isinstance(net.layer3[0], Bottleneck) else 2)
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
    strided = nn.Sequential(*[getattr(net, name) for name in parts]).double().eval()
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = encoder.double()(images), strided(images)
    assert torch.allclose(ours[..., ::2, ::2], theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "resnet50s"])
def test_forward_equals_torchvision(backbone):
    encoder, reference = pair(backbone)
    images = torch.randn(2, 3, 57, 72, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = encoder(images), reference(images)
    assert ours.shape == theirs.shape == (2, encoder.channels, 8, 9)
    assert (ours - theirs).abs().max() < 1e-9 * theirs.abs().max()
    assert (ours < 0).any()


def test_gradients_equal_torchvision():
    encoder, reference = pair("resnet18")
    images = torch.randn(1, 3, 40, 40, dtype=torch.float64)
    weights = torch.randn(1, 256, 5, 5, dtype=torch.float64)
    (encoder(images) * weights).sum().backward()
    (reference(images) * weights).sum().backward()
    for ours, theirs in zip(
        (encoder.conv1, encoder.layer2[0].downsample[0], encoder.layer3[1].conv2),
        (reference[0], reference[5][0].downsample[0], reference[6][1].conv2),
        strict=True,
    ):
        assert theirs.weight.grad.abs().max() > 0
        assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (8, 8)), ((65, 71), (9, 9)), ((1, 8), (1, 1)), ((33, 7), (5, 1))],
)
def test_feature_is_an_eighth_of_the_image_rounded_up(size, expected):
    with torch.no_grad():
        assert ResNet("resnet18")(torch.zeros(1, 3, *size)).shape[2:] == expected


@pytest.mark.parametrize(("backbone", "millions"), [("resnet50s", 8.7), ("resnet101s", 27.7)])
def test_deep_stem_has_the_parameters_of_the_papers_tables(backbone, millions):
    with torch.device("meta"):
        count = parameter_count(ResNet(backbone))
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("backbone", BACKBONES)
def test_channels_of_every_backbone(backbone):
    with torch.device("meta"):
        encoder = ResNet(backbone)
        feature = encoder(torch.zeros(1, 3, 16, 16))
    assert feature.shape == (1, encoder.channels, 2, 2)
    assert encoder.channels == (256 if backbone in ("resnet18", "resnet34") else 1024)


def test_deep_stem_has_the_key_names_of_timm():
    with torch.device("meta"):
        state = ResNet("resnet50s").state_dict()
    stem = {k: tuple(v.shape) for k, v in state.items() if not k.startswith("layer")}
    norms = [("conv1.1", 64), ("conv1.4", 64), ("bn1", 128)]
    expected = {"conv1.0.weight": (64, 3, 3, 3), "conv1.3.weight": (64, 64, 3, 3)}
    expected["conv1.6.weight"] = (128, 64, 3, 3)
    for name, width in norms:
        for part in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{name}.{part}"] = (width,)
        expected[f"{name}.num_batches_tracked"] = ()
    assert stem == expected
    assert tuple(state["layer1.0.conv1.weight"].shape) == (64, 128, 1, 1)
    assert tuple(state["layer1.0.downsample.0.weight"].shape) == (256, 128, 1, 1)


def test_batch_norm_never_trains():
    encoder = ResNet("resnet18")
    randomise_norms(encoder)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder.train()
    assert encoder.training
    assert encoder.layer3.training
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 17 - 4 + 2  # torchvision's ResNet-18 less layer4
    assert not any(norm.training for norm in norms)
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    encoder(torch.randn(2, 3, 32, 32)).sum().backward()
    after = encoder.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert all(c.weight.grad is not None for c in convolutions)


def test_train_and_eval_give_the_same_features():
    encoder, images = ResNet("resnet18"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(encoder.train()(images), encoder.eval()(images))
    assert not encoder.training


def test_normalise_subtracts_imagenets_mean_and_divides_by_its_deviation():
    pixels = torch.randint(0, 256, (1, 3, 2, 2), dtype=torch.uint8)
    result = normalise(pixels)
    for channel in range(3):
        for y in range(2):
            for x in range(2):
                value = (int(pixels[0, channel, y, x]) / 255 - MEAN[channel]) / STD[channel]
                assert float(result[0, channel, y, x]) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ["resnet152", "resnet18s", "", "vgg16"])
def test_unknown_backbone_is_refused_with_the_known_ones(name):
    message = one_line(ResNet, name)
    assert repr(name) in message
    assert "resnet18, resnet34, resnet50, resnet101, resnet50s, resnet101s" in message
