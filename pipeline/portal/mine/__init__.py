"""The pages of recipients: find what is theirs, read it, plot it, download it, and see what changed.

``visiting`` says who asks; ``entering`` begins and ends their sessions; ``pages`` are the pages; ``figures`` their
numbers, ``drawings`` their charts, ``prose`` their methodology; ``lines`` what recipients paste into their own tools;
``taking`` the downloads; ``account`` tokens, profiles, and what was downloaded.
"""

from fastapi import APIRouter

from pipeline.portal.mine import account, entering, pages, taking


def router() -> APIRouter:
    """All routes of recipients' pages."""
    routes = APIRouter(include_in_schema=False)
    for part in (entering, pages, taking, account):
        routes.include_router(part.router())
    return routes
