"""A Ray cluster of two nodes on this machine, in a process of its own: `python -m tests.daemon.archive.two_nodes DIR`.

Prints the address; "kill" on stdin kills the second node, and the end of stdin all of it. Everything listens on
127.0.0.1 alone, for which a variable must be 0: else Ray takes the machine's own address where it is given that one.
"""

import os
import socket
import sys
from typing import Any

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
# A machine that tests may be busy.
PATIENCE = {
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_health_check_timeout_ms": "120000",
    "RAY_health_check_initial_delay_ms": "60000",
}
# As little memory as Ray can do with, and none of what nobody looks at.
NODE = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}


# A node waits 15 s for its agents to tell the ports that they have found, for some not if it knows them, and then dies:
# on a busy machine it takes a few turns.
TURNS = 8
PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")


def ports() -> dict[str, int]:
    """Ports that nobody uses now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    found = {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    for probe in probes:
        probe.close()
    return found


def start(folder: str) -> Any:
    """A cluster with its head."""
    from ray.cluster_utils import Cluster

    for turn in range(TURNS):
        try:
            # Sockets of a head that died would be in the way.
            place = os.path.join(folder, str(turn))
            return Cluster(initialize_head=True, head_node_args={**NODE, **ports(), "temp_dir": place})
        except Exception as error:  # Ray raises no less
            print(error, file=sys.stderr, flush=True)
    sys.exit("no head")


def join(cluster: Any) -> Any:
    """One more node."""
    for _ in range(TURNS):
        try:
            return cluster.add_node(**NODE, **ports())
        except Exception as error:
            print(error, file=sys.stderr, flush=True)
    sys.exit("no second node")


def main(folder: str) -> None:
    """Start, obey, end."""
    # Where it notes the address of the cluster, beside the folder of each node; it does not make that folder itself.
    os.environ.update(LOOPBACK | PATIENCE | {"RAY_TMPDIR": folder})
    os.makedirs(os.path.join(folder, "ray"), exist_ok=True)
    cluster = start(folder)
    try:
        other = join(cluster)
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                cluster.remove_node(other, allow_graceful=False)
                print("killed", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
