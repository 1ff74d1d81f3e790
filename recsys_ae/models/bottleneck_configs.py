"""How a code is made of what the last layer of an encoder says. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from recsys_ae.config import Config
from recsys_ae.models.base_configs import Width


class GaussianCodeConfig(Config):
    """A variational autoencoder of ratings (Kingma and Welling 2014): after the hidden layers a row has not a
    code but a normal distribution of codes, of size `code`. Each step of the training draws one; afterwards
    the mean is the code. The output layer reads it directly.

    Let a rating be normal around the output for its row's code, with variance s². Minus the evidence lower
    bound, times 2 s² and up to a constant, is then

        Σ (rating - output)² + 2 s² Σ KL(posterior of a row's code ‖ standard normal),

    over ratings and over rows. Training minimises this with `beta` in place of s². Ratings are standardised:
    `beta` 1 is noise as large as all that the biases leave, and where a fifth of that is explained, 0.8 is
    the bound itself. Less is the same as weighing the divergence less than the bound does, which can predict
    better (Liang et al. 2018, section 2.2.2); 0 leaves the codes free. The weight rises from 0 over
    `anneal_epochs` epochs.
    """

    kind: Literal["gaussian"] = "gaussian"
    code: Width = 50
    beta: NonNegativeFloat = 0.2
    anneal_epochs: NonNegativeInt = 10


class TopKConfig(Config):
    """Of each row the `k` units of the code pass that are farthest from their rest: from 0, or where the
    network is anchored from the code of an empty row (Makhzani and Frey 2014)."""

    kind: Literal["top-k"] = "top-k"
    k: PositiveInt = 50


BottleneckConfig = Annotated[GaussianCodeConfig | TopKConfig, Field(discriminator="kind")]
