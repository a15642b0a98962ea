"""Every topic that is told can be asked for."""

import re
from pathlib import Path

import valorem.engine
from valorem.core.delivery.topics import TOPICS

_ENGINE = Path(valorem.engine.__file__).parent


def test_everything_the_engine_tells_has_a_topic_that_can_be_asked_for():
    families = "|".join(sorted({topic.partition(".")[0] for topic in TOPICS}))
    literal = re.compile(rf'"((?:{families})\.[a-z_]+)"')
    told = {
        found
        for file in _ENGINE.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for found in literal.findall(line)
    }
    assert told <= set(TOPICS)
    assert set(TOPICS) - told == set(), "nothing tells these"
