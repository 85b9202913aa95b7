"""Tools: everyday helpers that stand alone.

Settings from files and environment, credentials, notifications, AWS signatures, exact rounding of prices,
tables in logs, timing, command dispatch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.tools._braces import expand_braces as expand_braces
    from mainspring.tools._config_layers import Config as Config
    from mainspring.tools._config_loader import ConfigLoader as ConfigLoader
    from mainspring.tools._config_loader import ConfigOrigin as ConfigOrigin
    from mainspring.tools._credential import Credential as Credential
    from mainspring.tools._credentials import AccountCredentialManager as AccountCredentialManager
    from mainspring.tools._credentials import CredentialStore as CredentialStore
    from mainspring.tools._credentials import EnvironmentCredentials as EnvironmentCredentials
    from mainspring.tools._credentials import TomlCredentials as TomlCredentials
    from mainspring.tools._dispatch import Dispatch as Dispatch
    from mainspring.tools._dispatch import DispatchResult as DispatchResult
    from mainspring.tools._dispatch import DispatchStatus as DispatchStatus
    from mainspring.tools._dispatch_args import DArg as DArg
    from mainspring.tools._dispatch_ops import Op as Op
    from mainspring.tools._dispatch_ops import documentation as documentation
    from mainspring.tools._frame import caption_line as caption_line
    from mainspring.tools._frame import ensure_frame_level as ensure_frame_level
    from mainspring.tools._frame import frame_texts as frame_texts
    from mainspring.tools._frame import print_frame as print_frame
    from mainspring.tools._notify_bots import LarkBot as LarkBot
    from mainspring.tools._notify_bots import SlackBot as SlackBot
    from mainspring.tools._numeric import Round as Round
    from mainspring.tools._numeric import format_price as format_price
    from mainspring.tools._numeric import format_price_padded as format_price_padded
    from mainspring.tools._numeric import round_near as round_near
    from mainspring.tools._secrets import MASK as MASK
    from mainspring.tools._secrets import find_secrets as find_secrets
    from mainspring.tools._secrets import is_secret as is_secret
    from mainspring.tools._secrets import known_secrets as known_secrets
    from mainspring.tools._secrets import looks_for_secrets as looks_for_secrets
    from mainspring.tools._secrets import masked as masked
    from mainspring.tools._secrets import secret_texts as secret_texts
    from mainspring.tools._secrets import secrets_here as secrets_here
    from mainspring.tools._secrets import with_stars as with_stars
    from mainspring.tools._secrets import without_secrets as without_secrets
    from mainspring.tools._sigv4 import UNSIGNED_PAYLOAD as UNSIGNED_PAYLOAD
    from mainspring.tools._sigv4 import SignatureV4 as SignatureV4
    from mainspring.tools._sigv4 import signing_key as signing_key
    from mainspring.tools._timer import Timer as Timer
    from mainspring.tools._values import is_list as is_list
    from mainspring.tools._values import is_table as is_table
    from mainspring.tools._values import items_of as items_of
    from mainspring.tools.notifier import Notifier as Notifier
    from mainspring.tools.prompt import dispatch_completer as dispatch_completer
    from mainspring.tools.redis_credentials import RedisCredentials as RedisCredentials
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_braces": ("expand_braces",),
            "_config_layers": ("Config",),
            "_config_loader": ("ConfigLoader", "ConfigOrigin"),
            "_credential": ("Credential",),
            "_credentials": (
                "AccountCredentialManager",
                "CredentialStore",
                "EnvironmentCredentials",
                "TomlCredentials",
            ),
            "_dispatch": ("Dispatch", "DispatchResult", "DispatchStatus"),
            "_dispatch_args": ("DArg",),
            "_dispatch_ops": ("Op",),
            "_frame": ("print_frame",),
            "_notify_bots": ("LarkBot", "SlackBot"),
            "_numeric": ("Round", "format_price", "format_price_padded", "round_near"),
            "_sigv4": ("UNSIGNED_PAYLOAD", "SignatureV4"),
            "_timer": ("Timer",),
            "notifier": ("Notifier",),
            "redis_credentials": ("RedisCredentials",),
            "prompt": ("dispatch_completer",),
        },
        house={
            "_dispatch_ops": ("documentation",),
            "_frame": ("caption_line", "ensure_frame_level", "frame_texts"),
            "_secrets": (
                "MASK",
                "find_secrets",
                "is_secret",
                "known_secrets",
                "looks_for_secrets",
                "masked",
                "secret_texts",
                "secrets_here",
                "with_stars",
                "without_secrets",
            ),
            "_sigv4": ("signing_key",),
            "_values": ("is_list", "is_table", "items_of"),
        },
    )
