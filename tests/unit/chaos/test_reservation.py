"""A reserved port stays the node's, and nobody else's."""

from __future__ import annotations

import socket

import pytest

from chaos.supervisor.errors import PortBusy
from chaos.supervisor.reservation import LOOPBACK, Reservation


def test_a_reserved_port_refuses_connections_until_the_node_listens() -> None:
    reservation = Reservation()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, reservation.port), timeout=5)
    with socket.socket() as node:
        node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        node.bind((LOOPBACK, reservation.port))
        node.listen()
        socket.create_connection((LOOPBACK, reservation.port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, reservation.port), timeout=5)
    reservation.close()


def test_every_connection_reaches_the_node_and_none_the_reservation() -> None:
    reservation = Reservation()
    with socket.socket() as node:
        node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        node.bind((LOOPBACK, reservation.port))
        node.listen(64)
        node.settimeout(5)
        for _ in range(50):
            with socket.create_connection((LOOPBACK, reservation.port), timeout=5):
                node.accept()[0].close()
    reservation.close()


def test_a_reserved_port_cannot_be_taken_by_an_ordinary_socket() -> None:
    reservation = Reservation()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, reservation.port))
    reservation.close()


def test_a_port_that_was_released_can_be_reserved_again() -> None:
    first = Reservation()
    first.close()
    second = Reservation(first.port)
    assert second.port == first.port
    second.close()


def test_a_port_that_another_process_listens_on_is_busy() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortBusy, match=f"port {port} .*choose another"):
            Reservation(port)


def test_a_port_that_is_shared_with_reuseport_is_busy_too() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((LOOPBACK, 0))
        other.listen()
        with pytest.raises(PortBusy):
            Reservation(other.getsockname()[1])


def test_two_reservations_of_one_port_are_refused() -> None:
    first = Reservation()
    with pytest.raises(PortBusy):
        Reservation(first.port)
    first.close()
