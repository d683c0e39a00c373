"""Faults that a test has ordered, in the order they came; the first that fits a call is used."""

from dataclasses import dataclass, field

from tests.bot.telegram_server.parameters import Parameters
from tests.bot.telegram_server.wire import Order

POLL = "getupdates"


@dataclass
class Standing:
    """An order and how often it may still be used; None is without end."""

    order: Order
    left: int | None


@dataclass
class Orders:
    """The orders that are not used up."""

    standing: list[Standing] = field(default_factory=list)

    def add(self, order: Order) -> None:
        """Take an order."""
        self.standing.append(Standing(order, order.times))

    def clear(self) -> None:
        """Forget every order."""
        self.standing.clear()

    def take(self, method: str, parameters: Parameters) -> Order | None:
        """Use the first order that fits a call; ``method`` in small letters."""
        for standing in self.standing:
            if _fits(standing.order, method, parameters):
                if standing.left is not None:
                    standing.left -= 1
                    if standing.left == 0:
                        self.standing.remove(standing)
                return standing.order
        return None


def _fits(order: Order, method: str, parameters: Parameters) -> bool:
    meant = method != POLL if order.method is None else method == order.method.lower()
    return meant and (order.having is None or parameters.has(order.having)) and order.saying in parameters.text("text")
