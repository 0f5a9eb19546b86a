"""To hand events on to what does not speak ZeroMQ: `glatd bridge`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from glatd.cli.options import CLIENT_KEYS, PATH

if TYPE_CHECKING:
    from glatd.clients.bridges.base import Bridge

Command = TypeVar("Command", bound=Callable[..., Any])
Made = TypeVar("Made", bound="Bridge")


def feed_options(command: Command) -> Command:
    """What every bridge is told of the nodes; fields of `BridgeSettings`."""
    for option in reversed(
        (
            click.option("--config", type=PATH, metavar="FILE", help="TOML file with these options as keys."),
            click.option(
                "--publish", multiple=True, metavar="ENDPOINT", help="Where a node publishes.  [tcp://127.0.0.1:5555]"
            ),
            click.option("--catchup", multiple=True, metavar="ENDPOINT", help="Where it answers who was away."),
            click.option("--cursor", metavar="FILE", help="Remembers what was handed over."),
            CLIENT_KEYS,
            click.option("--stream", metavar="GLOB", help="Only streams whose name fits.  [default: *]"),
            click.option("--label", multiple=True, metavar="NAME", help="Only this class, or group and all below it."),
            click.option(
                "--fresh", type=click.Choice(["first", "now"]), help="Begin with all that is kept, or now.  [now]"
            ),
        )
    ):
        command = option(command)
    return command


def made(make: Callable[[Any], Made], settings: type[Any], config: Path | None, options: dict[str, Any]) -> Made:
    """A bridge with the settings of a file, and of the command line, which wins."""
    from glatd.clients.bridges.base import read_bridge_settings

    given = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    return make(read_bridge_settings(settings, config, **given))


def run(bridge: "Bridge") -> int:
    """Until a signal, or until the far side refuses it for good."""
    bridge.stop.on_signals()
    return bridge.run()


def choice_options(command: Command) -> Command:
    """Which events a bridge hands on that need not hand on all."""
    phases = click.Choice(["start", "update", "end", "retract"])
    for option in (
        click.option("--least", type=float, metavar="SCORE", help="Only events that score so much at their best."),
        click.option("--phase", multiple=True, type=phases, help="Only this phase of events; several times for more."),
    ):
        command = option(command)
    return command


@click.group(no_args_is_help=False)
def bridge() -> None:
    """Hand events on, none lost: to MQTT and Home Assistant, a web server, a telephone, NATS."""


@bridge.command()
@feed_options
@click.option("--broker", metavar="URL", help="mqtt://HOST, or mqtts://USER@HOST:8883 over TLS.")
@click.option("--password-file", type=PATH, metavar="FILE", help="Its first line is the password of USER.")
@click.option("--ca", type=PATH, metavar="FILE", help="Who signed the broker's certificate.  [as this machine has it]")
@click.option("--cert", type=PATH, metavar="FILE", help="Certificate of this client, where the broker wants one,")
@click.option("--cert-key", type=PATH, metavar="FILE", help="and its key.")
@click.option("--client-id", metavar="ID", help="Name at the broker.  [made of host and cursor]")
@click.option("--protocol", type=click.Choice(["5", "3.1.1"]), help="Version of MQTT.  [5]")
@click.option("--prefix", metavar="TOPIC", help="Of all topics.  [glatd]")
@click.option("--homeassistant", metavar="TOPIC", help='Of its discovery; "" for none.  [homeassistant]')
@click.option("--class", "classes", multiple=True, metavar="NAME", help="With a state ON or OFF.  [nine of a house]")
@click.option("--level-seconds", type=float, metavar="SECONDS", help="Between two levels.  [5]")
@click.option("--control", multiple=True, metavar="ENDPOINT", help="Control socket of a node, for its switches.")
def mqtt(config: Path | None, **options: Any) -> int:
    """Events and states for an MQTT broker; Home Assistant finds them by itself."""
    from glatd.clients.bridges.mqtt import MqttBridge
    from glatd.clients.bridges.mqtt_settings import MqttSettings

    return run(made(MqttBridge, MqttSettings, config, options))


@bridge.command()
@feed_options
@choice_options
@click.option("--url", metavar="URL", help="Where to POST.")
@click.option("--secret-file", type=PATH, metavar="FILE", help='Signs with these secrets, "whsec_..." a line.')
@click.option("--header-file", type=PATH, metavar="FILE", help='Further headers, "Name: value" a line.')
@click.option("--ca", type=PATH, metavar="FILE", help="Certificates of who vouches for the receiver, if unusual.")
@click.option("--timeout", type=float, metavar="SECONDS", help="For an answer.  [15]")
@click.option("--batch", type=int, metavar="N", help="Events in a POST at most, which may wait a second.  [1]")
@click.option("--refused", type=click.Choice(["skip", "block"]), help="On 4xx: keep it aside, or try again.  [skip]")
@click.option("--refused-file", type=PATH, metavar="FILE", help="Where it is kept aside.  [beside the cursor]")
def webhook(config: Path | None, **options: Any) -> int:
    """POST every event to a web server as signed JSON, until the server has it."""
    from glatd.clients.bridges.webhook import Webhook, WebhookSettings

    return run(made(Webhook, WebhookSettings, config, options))


@bridge.command()
@feed_options
@choice_options
@click.option("--server", multiple=True, metavar="URL", help="nats:// or tls://HOST:4222; several of one cluster.")
@click.option("--jetstream", metavar="NAME", help="Stream there, made if there is none.  [GLATD]")
@click.option("--subject", metavar="NAME", help="With which all subjects begin.  [glatd]")
@click.option("--window", type=float, metavar="SECONDS", help="In which a stream made here drops repeats.  [3600]")
@click.option("--days", type=float, metavar="DAYS", help="That a stream made here keeps events.  [30]")
@click.option("--ca", type=PATH, metavar="FILE", help="Certificates of who vouches for the server, if unusual.")
@click.option("--certificate", type=PATH, metavar="FILE", help="Of this client, where the server wants one.")
@click.option("--key", type=PATH, metavar="FILE", help="That belongs to it.")
@click.option("--password-file", type=PATH, metavar="FILE", help="Password of the user in the URL, or a token.")
@click.option("--credentials", type=PATH, metavar="FILE", help="A .creds file of NATS.")
def nats(config: Path | None, **options: Any) -> int:
    """Publish every event to NATS JetStream, once."""
    from glatd.clients.bridges.nats_bridge import NatsBridge, NatsSettings

    return run(made(NatsBridge, NatsSettings, config, options))


@bridge.command()
@feed_options
@choice_options
@click.option("--url", multiple=True, metavar="URL", help="Of a service, as Apprise knows it; several times for more.")
@click.option("--url-file", type=PATH, metavar="FILE", help="Holds such URLs, one a line: they are passwords.")
@click.option("--title", metavar="TEXT", help="Of a notification.  [{label} on {stream}]")
@click.option("--text", metavar="TEXT", help="Below it.  [{at:%a %H:%M:%S} on {node}, {peak:.0%} sure]")
@click.option("--every", type=float, metavar="SECONDS", help="Least time between two of a class and stream.  [60]")
@click.option("--quiet", metavar="SPAN", help='"22:00-07:00": tells nothing then, and the number afterwards.')
@click.option("--quiet-days", multiple=True, metavar="DAY", help="On which that begins: mon, tue ...  [every day]")
@click.option("--oldest", type=float, metavar="SECONDS", help="Of older ones only the number is told.  [3600]")
@click.option("--give-up", type=float, metavar="SECONDS", help="For which a notification is tried.  [300]")
@click.option("--clips", type=PATH, metavar="FOLDER", help="Of the node's clips: sent along where a service can.")
@click.option("--test", is_flag=True, help="Notify once, and end.")
def apprise(config: Path | None, test: bool, **options: Any) -> int:
    """Notify a telephone, a mailbox or a chat, at the start of each event."""
    from glatd.clients.bridges.apprise_bridge import AppriseBridge, AppriseSettings

    notifying = made(AppriseBridge, AppriseSettings, config, options)
    if test:
        notifying.test()
        return 0
    return run(notifying)
