"""What happens to files on their way: bytes that change, go, come or come twice."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = (
    b'"', b'""', b"'", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b",", b";", b"\t", b"::", b":", b" ", b"\\",
    b"\x1b[31m", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"-", b"1e400", b"nan", b"inf", b"1_0", b"0",
    b"{", b"}", b"[", b"\x1a", b"\xc2\xa0", b"\xe2\x80\xa8", b'",', b',"', b'1,2,3,"x', b"NA", b"null",
)  # fmt: skip
Damage = tuple[str, float, bytes]
damages = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete", "cut", "repeat", "flip"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(NASTY), st.binary(min_size=1, max_size=4)),
    ),
    max_size=4,
)


def damaged(content: bytes, done: list[Damage]) -> bytes:
    """The content after all of it was done."""
    for kind, where, what in done:
        place = int(where * len(content))
        before, after = content[:place], content[place:]
        match kind:
            case "insert":
                content = before + what + after
            case "replace":
                content = before + what + after[len(what) :]
            case "delete":
                content = before + after[len(what) :]
            case "cut":
                content = before
            case "repeat":
                content = before + after[: 40 * len(what)] + after
            case "flip":
                content = before + bytes(b ^ (1 << what[0] % 8) for b in after[:1]) + after[1:]
    return content
