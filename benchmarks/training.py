"""One training step measured: ours against the released baseline's arithmetic.

    python -m benchmarks.training
    python -m benchmarks.training --device cuda --sizes 473 --pairs 4 --steps 20

The baseline's step (PANet's, which the paper's authors released): plain layers with batch norm in
`eval`, features of supports upsampled to image size for masked average pooling, one pair after the
other. Ours: batch norm folded, pooling at feature size, all pairs at once. Same weights, images and
masks, no mining branch. Each way runs in a process of its own, so that its peak memory is its own
(of the process on a CPU, of the tensors on a GPU). The last line is one JSON object of the smallest
ratios over all sizes and pairs; `speedup_bfloat16` is null where the hardware has no bfloat16.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

import stages  # noqa: F401 - the process settings of the commands
from fsslib.data.batches import Batch
from fsslib.encoders.base import Encoder, normalise
from fsslib.encoders.resnet import ResNet
from fsslib.encoders.running import choose_precision
from fsslib.training.trainer import Trainer, TrainSettings

Json = dict[str, Any]
SIGMA, LR, MOMENTUM, DECAY = 20.0, 1e-3, 0.9, 5e-4


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--sizes", type=int, nargs="*", default=[321, 473], help="crops, px")
    parser.add_argument("--pairs", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--steps", type=int, default=2, help="timed, after one to warm up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--micro", type=int, help="of ours: training.micro_images")
    parser.add_argument("--bfloat16", action="store_true", help="also where it is emulated, slowly")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_batch(pairs: int, size: int, generator: torch.Generator) -> Batch:
    """Noise images with a rectangle as the object, ignored along the lower border."""

    def images() -> Tensor:
        low = torch.rand(pairs, 3, 8, 8, generator=generator) * 255
        return F.interpolate(low, (size, size), mode="bilinear").to(torch.uint8)

    def masks() -> Tensor:
        mask = torch.zeros(pairs, size, size, dtype=torch.uint8)
        for one in mask:
            top, left = torch.randint(size // 4, (2,), generator=generator).tolist()
            one[top : top + size // 2, left : left + size // 2] = 1
            one[-3:] = 255
        return mask

    return {
        "support_images": images()[:, None],
        "support_masks": masks()[:, None],
        "query_images": images(),
        "query_masks": masks(),
    }


class Plain(nn.Module):
    """The encoder layer by layer, as torchvision runs it."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """As `Encoder.forward`."""
        e = self.encoder
        x = e.maxpool(F.relu(e.bn1(e.conv1(images))))
        *blocks, last = [*e.layer1, *e.layer2, *e.layer3]
        for block in blocks:
            x = F.relu(self.residual(block, x))
        return self.residual(last, x)

    @staticmethod
    def residual(block: nn.Module, x: Tensor) -> Tensor:
        """A block of torchvision up to its last ReLU."""
        out = F.relu(block.bn1(block.conv1(x)))
        out = block.bn2(block.conv2(out))
        if isinstance(block, Bottleneck):
            out = block.bn3(block.conv3(F.relu(out)))
        return out + (x if block.downsample is None else block.downsample(x))


def pooled(feature: Tensor, where: Tensor) -> Tensor:
    """Masked average of (1, C, h, w) at the size of the mask (H, W)."""
    full = F.interpolate(feature, where.shape, mode="bilinear", align_corners=True)
    return (full * where).sum((2, 3)) / (where.sum() + 1e-5)


def baseline_loss(encoder: Plain, batch: Batch) -> Tensor:
    """Loss of eq. 4, one pair after the other."""
    losses = []
    device = next(encoder.parameters()).device
    size = batch["query_masks"].shape[1:]
    for i in range(len(batch["query_images"])):
        support = encoder(normalise(batch["support_images"][i].to(device)))
        query = encoder(normalise(batch["query_images"][i : i + 1].to(device)))
        mask = batch["support_masks"][i, 0].to(device)
        target = batch["query_masks"][i : i + 1].long().to(device)
        prototypes = [pooled(support, (mask == value).float()) for value in (0, 1)]
        scores = [SIGMA * F.cosine_similarity(query, p[..., None, None], dim=1) for p in prototypes]
        full = F.interpolate(torch.stack(scores, 1), size, mode="bilinear", align_corners=True)
        losses.append(F.cross_entropy(full, target, ignore_index=255))
    return torch.stack(losses).mean()


def baseline_steps(args: argparse.Namespace, batch: Batch, encoder: Encoder) -> Json:
    """Loss of the first step and mean seconds of the others."""
    plain = Plain(encoder).to(args.device)
    plain.train()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    parameters = [p for p in plain.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, LR, MOMENTUM, weight_decay=DECAY)

    def step() -> float:
        loss = baseline_loss(plain, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return timed(step, args)


def our_steps(args: argparse.Namespace, batch: Batch, encoder: Encoder, precision: str) -> Json:
    """The same with `Trainer.step`."""
    settings = TrainSettings(
        iterations=1000,
        lr=LR,
        head_lr=LR,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        ema_decay=0.99,
        m=0.999,
        background_share=0.0,
        sigma=SIGMA,
        pseudo_weight=1.0,
        precision=precision,  # type: ignore[arg-type]
        seed=0,
        micro_images=args.micro,
    )
    trainer = Trainer(encoder, None, settings, torch.device(args.device))
    return timed(lambda: trainer.step(batch)["episode"], args)


def timed(step: Any, args: argparse.Namespace) -> Json:  # noqa: ANN401 - a function to a loss
    loss = step()
    started = time.perf_counter()
    for _ in range(args.steps):
        step()
    if args.device == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - started) / args.steps
    if args.device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"loss": loss, "seconds": seconds, "peak_mb": peak}


def run_way(args: argparse.Namespace) -> Json:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    encoder = ResNet(args.backbone)
    batch = make_batch(args.pairs[0], args.sizes[0], torch.Generator().manual_seed(1))
    if args.way == "baseline":
        return baseline_steps(args, batch, encoder)
    return our_steps(args, batch, encoder, args.way)


def measure(args: argparse.Namespace, way: str, size: int, pairs: int) -> Json:
    command = [
        *(sys.executable, "-m", "benchmarks.training", "--way", way, "--backbone", args.backbone),
        *("--sizes", str(size), "--pairs", str(pairs), "--steps", str(args.steps)),
        *("--threads", str(args.threads), "--device", args.device),
    ]
    if args.micro is not None:
        command += ["--micro", str(args.micro)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Json = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    args = parse()
    if args.way:
        print(json.dumps(run_way(args)))
        return
    device = torch.device(args.device)
    bfloat16 = args.bfloat16 or choose_precision("auto", device) == "bfloat16"
    ways = ["baseline", "float32", *(["bfloat16"] if bfloat16 else [])]
    rows = []
    for size in args.sizes:
        for pairs in args.pairs:
            got = {way: measure(args, way, size, pairs) for way in ways}
            rows.append(compare(got))
            gap = rows[-1]["loss_gap"]
            shown = "  ".join(
                f"{w} {r['seconds']:.2f} s {r['peak_mb']:.0f} MB" for w, r in got.items()
            )
            print(f"{size} px, {pairs} pairs: {shown}, relative loss gap {gap:.1e}", flush=True)
    out: Json = {
        key: round(min(row[key] for row in rows), 2) for key in rows[0] if key != "loss_gap"
    }
    if not bfloat16:
        out["speedup_bfloat16"] = None
    print(json.dumps({**out, "loss_gap": max(row["loss_gap"] for row in rows)}))


def compare(got: dict[str, Json]) -> Json:
    """Ratios of one size and number of pairs."""
    naive, row = got["baseline"], {}
    row["loss_gap"] = abs(got["float32"]["loss"] / naive["loss"] - 1)
    row["peak_ratio"] = naive["peak_mb"] / got["float32"]["peak_mb"]
    for way in ("float32", "bfloat16"):
        if way in got:
            row[f"speedup_{way}"] = naive["seconds"] / got[way]["seconds"]
    return row


if __name__ == "__main__":
    main()
