"""The same numbers on a GPU as on the CPU, but for the order of sums; skipped where none is."""

import pytest
import torch

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import make_encode
from fsslib.encoders.weights import load_weights
from fsslib.evaluation.refining import GuidedFilter, Refining
from fsslib.mining.pooling import masked_sums
from fsslib.training.checkpoint import restore_checkpoint, save_checkpoint
from tests.support.project import Project
from tests.support.toy import CPU, make_batches, make_trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is there")

GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def _exact_sums():
    """Without TF32, which torch allows in convolutions and which rounds to 10 bits."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed


def losses(trainer, batches, steps):
    return [trainer.step(batches[step])["loss"] for step in steps]


def test_features_equal_those_of_the_cpu(discs):
    encoder = ResNet("resnet50")
    load_weights(encoder, "random", seed=0)
    image = torch.randint(0, 256, (90, 120, 3), dtype=torch.uint8).numpy()
    here = make_encode(encoder, CPU, "float32")(image)
    there = make_encode(encoder, GPU, "float32")(image).cpu()
    assert (there - here).norm() < 1e-4 * here.norm()


def test_pooling_and_its_gradient_equal_those_of_the_cpu():
    feature = torch.randn(32, 9, 11)
    masks = torch.rand(3, 70, 85) > 0.6
    found = []
    for device in (CPU, GPU):
        leaf = feature.to(device).detach().requires_grad_()
        sums, counts = masked_sums(leaf, masks.to(device))
        sums.pow(2).sum().backward()
        found.append([sums.detach().cpu(), counts.cpu(), leaf.grad.cpu()])
    for here, there in zip(*found, strict=True):
        assert torch.allclose(here, there, rtol=1e-4, atol=1e-3)


def test_refined_margins_equal_those_of_the_cpu():
    photograph = torch.randint(0, 256, (300, 400, 3), dtype=torch.uint8).numpy()
    margins = torch.randn(5, 2, 19, 25) / 4
    here, there = (
        GuidedFilter(photograph, Refining(), device)(margins.to(device)).cpu()
        for device in (CPU, GPU)
    )
    assert torch.allclose(here, there, rtol=0, atol=1e-4)


@pytest.mark.parametrize("later", [False, True])
def test_losses_of_training_equal_those_of_the_cpu(discs, later):
    batches = make_batches(discs)
    here = losses(make_trainer(device=CPU), batches, range(3))
    there = losses(make_trainer(device=GPU), make_batches(discs, later=later), range(3))
    assert there == pytest.approx(here, rel=3e-3)


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"micro_images": 2}])
def test_bfloat16_and_small_parts_learn_alike(discs, changes):
    batches = make_batches(discs, later=True)
    plain = losses(make_trainer(device=GPU), batches, range(3))
    assert losses(make_trainer(device=GPU, **changes), batches, range(3)) == pytest.approx(
        plain, rel=0.05
    )


def test_a_checkpoint_of_the_gpu_goes_on_there_and_on_the_cpu(discs, tmp_path):
    batches = make_batches(discs)
    whole = losses(make_trainer(device=GPU), batches, range(4))
    first = make_trainer(device=GPU)
    losses(first, batches, range(2))
    save_checkpoint(first, [], tmp_path / "c.safetensors", {})
    for device in (GPU, CPU):
        second = make_trainer(device=device)
        restore_checkpoint(second, tmp_path / "c.safetensors")
        assert losses(second, batches, range(2, 4)) == pytest.approx(whole[2:], rel=3e-3)


@pytest.mark.slow
def test_the_whole_pipeline_runs_there_and_scores_as_on_the_cpu(tmp_path):
    scores = {}
    for device in ("cpu", "cuda"):
        project = Project(tmp_path / device)
        project.put(runtime={"device": device, "workers": 2, "memory_gb": None}, episodes=100)
        project.repro()
        scores[device] = project.metrics()
    found = {device: metrics["shot1"]["miou"] for device, metrics in scores.items()}
    assert found["cuda"] == pytest.approx(found["cpu"], abs=1.0)
