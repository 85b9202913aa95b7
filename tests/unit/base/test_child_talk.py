"""Until somebody fills the hook, children say nothing and nobody listens."""

from mainspring.base._child_talk import ChildTalk


def test_an_empty_hook_gives_no_speaker_and_ignores_what_comes() -> None:
    talk = ChildTalk()
    assert talk.speaker() is None
    talk.listen(b"anything")
