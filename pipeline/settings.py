"""How a room of the program reads its settings from the environment."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import ConfigurationError


class Settings(BaseSettings):
    """Settings that one prefix has in the environment; an empty variable is one that is not set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, env_ignore_empty=True, hide_input_in_errors=True
    )
    about: ClassVar[str]
    """Whose settings they are: ``the portal``."""

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """The settings of the environment, and over them what is given; None is not given.

        Raises:
            ConfigurationError: One breaks a rule; each is named.
        """
        try:
            return cls.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as failure:
            problems = "; ".join(
                ": ".join(part for part in (".".join(map(str, item["loc"])), words_of(item["msg"])) if part)
                for item in failure.errors()
            )
            raise ConfigurationError(
                f"the settings of {cls.about} break {failure.error_count()} rule(s): {problems}",
                remedy=f"Correct the variables that begin with {cls.model_config['env_prefix']}.",
            ) from None


def words_of(message: str) -> str:
    """What a rule of ours says, without what pydantic puts before it."""
    return message.removeprefix("Value error, ")
