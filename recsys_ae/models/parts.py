"""From configs to the parts of a network and its training: a `match` each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch

from recsys_ae.errors import ConfigError
from recsys_ae.models import configs as c
from recsys_ae.nn import corruption, schedules


def make_corruption(config: c.CorruptionConfig | None) -> corruption.Corruption:
    match config:
        case None:
            return corruption.keep_clean
        case c.MaskingConfig():
            return partial(corruption.mask, probability=config.probability)
        case c.GaussianNoiseConfig():
            return partial(corruption.add_noise, deviation=config.deviation)
        case _:
            assert_never(config)


def make_schedule(config: c.ScheduleConfig, *, epochs: int) -> Callable[[int], float]:
    match config:
        case c.ConstantSchedule():
            return schedules.constant
        case c.CosineSchedule():
            return partial(schedules.cosine, epochs=epochs, final_share=config.final_share)
        case c.StepSchedule():
            return partial(schedules.step_decay, every=config.every, factor=config.factor)
        case _:
            assert_never(config)


def pick_device(name: str) -> str:
    """ "cuda" or "cpu"; "auto" takes the GPU where there is one. Raises ConfigError for another name, or for
    "cuda" where torch sees no GPU."""
    match name:
        case "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        case "cuda" if not torch.cuda.is_available():
            raise ConfigError("device 'cuda': torch sees no GPU here; use device auto or cpu")
        case "cpu" | "cuda":
            return name
        case _:
            raise ConfigError(f"device {name!r} is unknown; use auto, cpu or cuda")
