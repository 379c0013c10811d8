r"""Access logs of Application Load Balancers of Amazon Web Services.

    type time elb client:port target:port waited waited waited status target-status received sent "request" "agent" ...

``time`` is when the answer was made, in UTC. A client of IPv6 stands without brackets before its port. Neither referrer
nor language is logged. A request that was none stands as ``- http://host:80- -``. Source:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-syntax
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from pipeline.sources.formats.fields import LogFormat, Logged, Plain, select_fields
from pipeline.sources.formats.times import Clock

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_SKIPPED: Final = ' [^ "]+'
_VISIT: Final = '([^ "]+ [^ "]+ [^ "]+)'  # time, load balancer, client: one group, since four are captured in one pass
_TIME: Final = r"\d{4}-\d\d-\d\dT[0-9:.]+Z"
_LINE: Final = (
    f"^(?:https?|h2|grpcs?|wss?) {_VISIT}{_SKIPPED * 4} "  # target, three times waited
    f'([^ "]+){_SKIPPED * 3} '  # status; the target's status, bytes received and sent
    rf'"({_QUOTED})" "({_QUOTED})"(?:[ \r\n]|$)'
)


def load_balancer_format() -> LogFormat:
    """Lines of an Application Load Balancer; what follows the agent is not read."""
    parts = (
        f"SELECT number, regexp_extract(line, '{_LINE}', ['visit', 'status', 'request', 'agent']) AS part FROM lines"
    )
    relation = f"""(
        SELECT number, part, split_part(part.visit, ' ', 1) AS answered,
            trim(regexp_replace(split_part(part.visit, ' ', 3), ':[0-9]+$', ''), '[]') AS client
        FROM ({parts}))"""
    moment = Clock().moment("answered", ZoneInfo("UTC"))
    logged = Logged(
        address="client",
        moment=f"CASE WHEN regexp_full_match(answered, '{_TIME}') THEN {moment} END",
        status="part.status",
        request="part.request",
        agent="part.agent",
        matched="part.visit <> ''",
    )
    return Plain("Application Load Balancer", select_fields(logged, relation))
