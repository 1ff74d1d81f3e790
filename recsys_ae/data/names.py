"""What columns are usually called."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# In lower case, without anything but letters and digits; those of a second tier count where none of the first
# is there.
USUAL_NAMES: dict[str, tuple[frozenset[str], ...]] = {
    "user": (
        _words("user userid uid useridx reviewerid customerid memberid visitorid readerid"),
        _words("username reviewer customer member visitor"),
    ),
    "item": (
        _words(
            """item itemid itemidx iid movieid filmid bookid isbn artistid songid trackid productid asin
            gameid animeid recipeid businessid jokeid articleid"""
        ),
        _words("movie film book artist song track product game anime parentasin"),
    ),
    "rating": (
        _words(
            """rating ratings score stars overall preference rate bookrating movierating userrating itemrating
            myrating ratingscore ratingvalue starrating overallrating reviewrating reviewscore"""
        ),
        _words("value"),
    ),
    "timestamp": (
        _words("timestamp time ts unixtime unixreviewtime"),
        _words("date datetime createdat ratedat reviewdate reviewtime playedat"),
    ),
}
COUNT_NAMES = _words(
    """plays play playcount playcounts count counts listens listencount listeningcount weight clicks
    clickcount quantity qty frequency freq views viewcount purchases scrobbles visits hours playtime amount n
    num"""
)
PLAINLY_OTHER = frozenset(("", "index", "row", "year", "month", "day", "age", "zip", "zipcode"))
OTHER_ENDS = ("id", "ids", "idx", "index", "key", "code", "date", "timestamp")


def plain(name: str) -> str:
    """A name in lower case, without anything but letters and digits."""
    return "".join(c for c in name.lower() if c.isalnum())


def is_taken(name: str) -> bool:
    """Whether a name is one that users, items or timestamps have: a second one is no rating."""
    usual = (tier for role, tiers in USUAL_NAMES.items() if role != "rating" for tier in tiers)
    return any(plain(name) in tier for tier in usual)


def could_rate(name: str) -> bool:
    """Whether a column may hold ratings as far as its name says."""
    letters = plain(name)
    indexes = name.startswith("__") or letters.startswith("unnamed")
    return not (indexes or letters in PLAINLY_OTHER or letters.endswith(OTHER_ENDS))


def names_values(name: str) -> bool:
    """Whether ratings or counts are usually called so."""
    return any(plain(name) in names for names in (*USUAL_NAMES["rating"], COUNT_NAMES))
