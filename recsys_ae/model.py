"""A fitted model as its user holds it: it recommends, predicts and explains by ids, knows the histories of
its users, and can be stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recsys_ae.data.configs import DataConfig, Feedback
from recsys_ae.data.ids import IdMap
from recsys_ae.data.load import declared_scale
from recsys_ae.errors import CapabilityError, ConfigError, DataError, StorageError, brief
from recsys_ae.evaluation.contamination import Training
from recsys_ae.models.storage import StoredModel, save_model, strange_files
from recsys_ae.recommender import Recommender
from recsys_ae.reporting.progress import watched
from recsys_ae.reporting.tables import figure_text
from recsys_ae.serving.asked import check_at_least, distinct, positions_of
from recsys_ae.serving.explanation import contributions, explanation
from recsys_ae.serving.like_implicit import LikeImplicit
from recsys_ae.serving.lists import allowed_items, frame_of, lists_of, passing, scores_of_pairs
from recsys_ae.serving.newcomers import column_names, histories_of
from recsys_ae.serving.rules import rules_of
from recsys_ae.serving.similar import SIMILAR_COLUMNS
from recsys_ae.serving.similar import similar_items as similar_to
from recsys_ae.settings.explain import checked
from recsys_ae.settings.load import load_rules
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

if TYPE_CHECKING:
    import pandas as pd

    from recsys_ae.data.histories import UserBatch


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted recommender, to be used as one, with all that may be read of its users.

    `training`: the ratings that it was fitted to or chosen by, on which `evaluate` does not test it, and
    which its users are known by. `info`: what is stored beside it, such as its settings; JSON values.

    Users and items are asked for by their ids, one alone or many: a list, an array or a column of a table.
    """

    recommender: Recommender
    training: Training
    info: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_stored(cls, stored: StoredModel) -> Model:
        """The model of a folder that `save` or the command line has written."""
        fingerprint = stored.info.get("data_fingerprint", "")  # "" is that of no ratings
        training = Training(stored.histories, stored.recommender.items, fingerprint)
        return cls(stored.recommender, training, stored.info)

    def __repr__(self) -> str:
        chosen = ""
        if self.validation is not None:
            metric = self.info["validation"]["metric"]
            chosen = f", validation {metric} {figure_text(metric, self.validation)}"
        return f"Model({self.name} of {len(self.users)} users and {len(self.items)} items{chosen})"

    @property
    def name(self) -> str:
        """The kind that its settings name, such as "i-autorec"; where they are not known that of storage."""
        settings = self.info.get("model") or self.info.get("config", {}).get("model", {})
        return settings.get("kind", self.kind)

    @property
    def validation(self) -> float | None:
        """The score that chose its epoch, None where nothing was chosen."""
        return (self.info.get("validation") or {}).get("score")

    @property
    def feedback(self) -> Feedback:
        """What the values were that it was trained on."""
        return self.info.get("feedback", "ratings")

    @property
    def kind(self) -> str:
        return self.recommender.kind

    @property
    def users(self) -> IdMap:
        return self.recommender.users

    @property
    def items(self) -> IdMap:
        return self.recommender.items

    @property
    def folds_in(self) -> bool:
        return self.recommender.folds_in

    @property
    def predicts_ratings(self) -> bool:
        return self.recommender.predicts_ratings

    @property
    def ranks(self) -> bool:
        return self.recommender.ranks

    def score(self, batch: UserBatch) -> FloatMatrix:
        return self.recommender.score(batch)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        return self.recommender.score_pairs(batch, rows, items)

    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        filter_items: Any = None,
        items: Any = None,
        exclude_seen: bool = True,
        rules: Mapping[str, Any] | str | PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Top-N lists: columns user, rank (from 1), item, score.

        `users`: None takes all; each gets one list, in the order in which they are given. `filter_items`: are
        in no list; `items`: nothing else is. Items that a user has rated are left out unless `exclude_seen`
        is false. `rules`: a file of rules, or what it says as a mapping such as {"min_ratings": 5}, which may
        hold tables and lists in place of their paths. `progress`: a bar on stderr; None shows one after two
        seconds.

        Raises UnknownIdError for users and items that are not there, CapabilityError for a model that does
        not rank, ConfigError and DataError for rules that do not hold.
        """
        histories = self.training.histories
        ruled = rules_of(load_rules(rules), self.recommender, histories, histories)
        with watched(shown=progress) as line:
            return lists_of(
                self.recommender,
                histories,
                users,
                n=n,
                exclude_seen=exclude_seen,
                filter_items=filter_items,
                items=items,
                rules=ruled,
                on_listed=line.listing,
            )

    def recommend_for(
        self,
        ratings: Any,
        n: int = 10,
        *,
        filter_items: Any = None,
        items: Any = None,
        exclude_seen: bool = True,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Top-N lists for people whom training has not seen, by what they have rated: columns rank (from 1),
        item, score, and user where the ratings name users.

        `ratings`: a mapping or a table with the columns item, rating (which events do without) and, where
        there are several people, user. Everybody is read from these ratings alone, even where an id is that
        of a user of the training. Items that the model does not know are left out, with a warning. The other
        options are those of `recommend`.

        Raises CapabilityError for a model that does not fold in, DataError for ratings that do not hold,
        UnknownIdError where the model knows none of the items.
        """
        known = self.training.histories.matrix.data
        new = histories_of(
            ratings,
            self.items,
            feedback=self.feedback,
            scale=self._scale(),
            known=(float(known.min()), float(known.max())) if len(known) else None,
        )
        with watched(shown=progress) as line:
            lists = lists_of(
                self.recommender,
                new,
                n=n,
                exclude_seen=exclude_seen,
                filter_items=filter_items,
                items=items,
                on_listed=line.listing,
            )
        return lists if "user" in column_names(ratings) else lists.drop(columns="user")

    def predict(self, users: Any, items: Any, *, progress: bool | None = None) -> FloatVector:
        """(m,) float32 predicted ratings of pairs, within the scale: of the j-th user and the j-th item, of
        one user and many items, or of many users and one item. `progress`: see `recommend`.

        Raises UnknownIdError for users and items that are not there, DataError for lists of different
        lengths, CapabilityError for a model that does not predict ratings.
        """
        if not self.predicts_ratings:
            other = "; take them from recommend"
            if self.feedback == "ratings":
                other += ", or fit a model that predicts ratings, such as i-autorec"
            raise CapabilityError(f"{self.name} ranks, and its scores are no ratings{other}")
        histories = self.training.histories
        rows, places = positions_of(users, histories.users, "user"), positions_of(items, self.items, "item")
        if len(rows) != len(places) and 1 not in (len(rows), len(places)):
            raise DataError(
                f"{len(rows)} users and {len(places)} items are no pairs; give as many, or one of either"
            )
        rows, places = np.broadcast_arrays(rows, places)
        with watched(shown=progress) as line:
            return scores_of_pairs(self.recommender, histories, rows, places, line.listing)

    def similar_items(
        self, items: Any, n: int = 10, *, filter_items: Any = None, progress: bool | None = None
    ) -> pd.DataFrame:
        """The items most like each of `items`, itself left out: columns item, rank (from 1), similar, score.

        The score is the cosine, from -1 to 1, between what the model has learnt of two items: their factors
        or codes, their columns of a linear model, their weights in a network's last layer. `filter_items`:
        are in no list. `progress`: see `recommend`.

        Raises UnknownIdError for items that are not there, CapabilityError for a model that has learnt
        nothing of items but how much they are liked.
        """
        places = distinct(positions_of(items, self.items, "item"))
        allowed = allowed_items(self.items, without=filter_items)
        blocks = similar_to(self.recommender, places, n=n, allowed=allowed)
        with watched(shown=progress) as line:
            counted = passing(blocks, len(places), line.comparing)
            return frame_of(counted, users=self.items, items=self.items, names=SIMILAR_COLUMNS)

    def explain(self, user: Any, item: Any, n: int = 10) -> pd.DataFrame:
        """The `n` ratings of a user that speak most for an item: columns item, rating, contribution, the
        greatest first.

        A contribution is by how much the item's score falls when the rating is left out of the history and
        the model reads the rest, as it reads somebody new. That is exact for any model; as models are not
        additive, contributions need not add up to the score. A contribution below 0 speaks against the item.

        Raises UnknownIdError for a user or an item that is not there, ConfigError for `n` below 1,
        CapabilityError for a model that does not fold in.
        """
        histories = self.training.histories
        rows, places = positions_of(user, histories.users, "user"), positions_of(item, self.items, "item")
        if (len(rows), len(places)) != (1, 1):
            raise DataError(
                f"{len(rows)} users and {len(places)} items cannot be explained at once; give one of each"
            )
        check_at_least("n", n, 1)
        batch = histories.batch(rows)
        found = contributions(self.recommender, batch, int(places[0]))
        return explanation(batch, found, items=self.items, n=n)

    def as_implicit(self, by: Literal["ids", "positions"] | None = None) -> LikeImplicit:
        """The model as one of the library implicit: `recommend` and `similar_items` with its arguments, so
        that code written for implicit runs unchanged.

        `by`: what the numbers of users and items are, which are rows and columns of the matrices that such
        code has. "ids": those of the matrix that the ratings were loaded from, whose empty rows and columns
        are nobody and nothing here; "positions": places in `users.ids` and `items.ids`. None: either, where
        they are the same, or where ids are texts and so have positions alone. Raises ConfigError where it
        must be said, and for "ids" that are no places of a matrix.
        """
        return LikeImplicit.of(self.recommender, self.training.histories, by)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write a model folder, which `ra.load_model` and the command line read: the model, its histories and
        what it comes from. A model of that name is replaced, and nothing else is.

        Raises StorageError where the folder holds something else, or cannot be written.
        """
        if not isinstance(folder, (str, PathLike)):
            raise ConfigError(f"save: a model goes to a folder, and {brief(folder)} is the name of none")
        path = Path(folder).expanduser()
        if path.exists() and (not path.is_dir() or (strange := strange_files(path))):
            what = f"holds {brief(strange[0])}, which is no part of a model" if path.is_dir() else "is a file"
            raise StorageError(f"{path}: {what}; choose another folder")
        save_model(path, self.recommender, histories=self.training.histories, info=self.info)

    def _scale(self) -> tuple[float, float] | None:
        """The scale that was declared for the ratings of the training."""
        if "scale" in self.info:
            low, high = self.info["scale"]
            return low, high
        if "config" in self.info:
            return declared_scale(checked(DataConfig, self.info["config"]["data"], where="model.json"))
        return None
