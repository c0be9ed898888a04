"""kopf as it must be set: each default costs events, time or rights."""

from itertools import islice

import kopf

from scaling_operator.handlers import Backoffs, kopf_settings


def test_settings() -> None:
    settings = kopf_settings()
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    watching = settings.watching
    assert (watching.inactivity_timeout, watching.server_timeout, watching.client_timeout) == (70, 300, 330)
    assert watching.connect_timeout == 10
    assert settings.networking.request_timeout == 30
    assert settings.networking.enforce_retry_after
    assert settings.process.ultimate_exiting_timeout == 20
    assert isinstance(settings.persistence.diffbase_storage, kopf.AnnotationsDiffBaseStorage)


def test_backoffs_begin_anew_and_never_exceed_five_seconds() -> None:
    backoffs = Backoffs()
    assert list(islice(backoffs, 6)) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(islice(backoffs, 2)) == [0.5, 1.0]
