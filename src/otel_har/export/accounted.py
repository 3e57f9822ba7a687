"""`AccountedProcessor`: what the processors of this package have in common, their delivery and its counts."""

from __future__ import annotations

from otel_har.export.delivery import Delivery
from otel_har.export.interfaces import HarProcessor
from otel_har.limits import Interest


class AccountedProcessor(HarProcessor):
    """A processor that delivers to one exporter and accounts for what became of every record."""

    _delivery: Delivery

    @property
    def dropped_entries(self) -> int:
        """Records for which there was no room."""
        return self._delivery.account.statistics.dropped_entries

    @property
    def failed_entries(self) -> int:
        """Entries that could not be built or delivered."""
        return self._delivery.account.statistics.failed_entries

    @property
    def filtered_entries(self) -> int:
        """Exchanges that the filter left out."""
        return self._delivery.account.filtered_entries

    @property
    def takes_everything(self) -> bool:
        """Whether the filter lets in every request."""
        return type(self).interest is AccountedProcessor.interest and self._delivery.form.filter.takes_every_request

    def interest(self, method: str, url: str) -> Interest:
        """What the filter says."""
        return self._delivery.form.filter.interest(method, url)

    def on_unwanted(self, count: int) -> None:
        """Count them."""
        self._delivery.account.leave_out(count)
