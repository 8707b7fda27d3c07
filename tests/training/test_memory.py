"""Running memories against their recursions in plain loops."""

import pytest
import torch
from torch import nn

from fsslib.training.memory import BackgroundMemory, WeightAverage


def currents(count, channels=4):
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(0)) + 3


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("updates", [1, 2, 50])
def test_memory_is_eq_6_from_zero_over_the_weight_it_has_gathered(momentum, updates):
    memory = BackgroundMemory(4, momentum)
    rows = currents(updates)
    for row in rows:
        memory.update(row)
    for channel in range(4):
        running = 0.0
        for row in rows.double():
            running = momentum * running + (1 - momentum) * float(row[channel])  # eq. 6
        expected = running / (1 - momentum**updates)
        assert float(memory.value()[channel]) == pytest.approx(expected, rel=1e-4)


def test_the_first_update_is_the_memory():
    memory = BackgroundMemory(4, 0.999)
    memory.update(currents(1)[0])
    assert torch.allclose(memory.value(), currents(1)[0], rtol=1e-5)


def test_a_constant_background_is_remembered_exactly_from_the_start():
    memory = BackgroundMemory(3, 0.999)
    for _ in range(400):
        memory.update(torch.tensor([1.0, -2.0, 5.0]))
        assert memory.value().tolist() == pytest.approx([1, -2, 5], rel=1e-4)


def test_nothing_seen_is_nothing_known():
    assert BackgroundMemory(4, 0.999).value() is None


def test_momentum_one_never_learns():
    memory = BackgroundMemory(4, 1.0)
    memory.update(currents(1)[0])
    assert memory.value() is None


def test_memory_holds_no_graph_and_takes_half_precision():
    memory = BackgroundMemory(4, 0.9)
    memory.update(currents(1)[0].bfloat16().requires_grad_())
    assert not memory.value().requires_grad
    assert memory.value().dtype == torch.float32


def model_of(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_average_of_the_weights_is_its_recursion_with_a_warm_up(decay):
    model = model_of(0)
    average = WeightAverage(model, decay)
    expected = model[0].weight.detach().double().flatten().tolist()
    for step in range(30):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(2, 1, 3, 3))
        average.update(model, step)
        share = min(decay, (1 + step) / (10 + step))
        now = model[0].weight.detach().double().flatten().tolist()
        expected = [share * e + (1 - share) * n for e, n in zip(expected, now, strict=True)]
        found = average.model[0].weight.flatten().tolist()
        assert found == pytest.approx(expected, abs=1e-5)


def test_the_average_starts_at_the_model_and_leaves_it_alone():
    model = model_of(0)
    average = WeightAverage(model, 0.9)
    assert torch.equal(average.model[0].weight, model[0].weight)
    before = model[0].weight.clone()
    average.update(model_of(1), 0)
    assert torch.equal(model[0].weight, before)
    assert not torch.equal(average.model[0].weight, before)


def test_the_average_takes_no_gradient_and_is_in_eval():
    model = model_of(0).train()
    average = WeightAverage(model, 0.9)
    assert model.training
    assert not any(m.training for m in average.model.modules())
    assert not any(p.requires_grad for p in average.model.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_statistics_of_batch_norm_stay_as_they_were():
    model = model_of(0)
    average = WeightAverage(model, 0.9)
    model.train()(torch.randn(4, 1, 8, 8))
    average.update(model, 0)
    assert average.model[1].running_mean.tolist() == [0, 0]
