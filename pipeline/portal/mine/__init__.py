"""The pages of recipients: find what is theirs, read it, plot it, download it, and see what changed.

``visiting`` says who asks; ``entering`` begins and ends their sessions; ``reading`` has the editions; ``pages`` are the
pages; ``drawings`` their figures; ``lines`` what they paste into their own tools; ``taking`` the downloads; ``account``
tokens, profiles, and what was downloaded.
"""

from fastapi import APIRouter

from pipeline.portal.mine import account, entering, pages, taking


def router() -> APIRouter:
    """All routes of recipients' pages."""
    routes = APIRouter(include_in_schema=False)
    for part in (entering, pages, taking, account):
        routes.include_router(part.router())
    return routes
