"""Every prerequisite, and the probe that looks at it."""

from collections.abc import Mapping

from brakeline.doctor import cluster, machine, stores
from brakeline.doctor.examination import Probe

PROBES: Mapping[str, Probe] = {
    "container engine": machine.engine,
    "images": machine.images_current,
    "state folder": machine.state_folder,
    "certificates": machine.certificates,
    "token": cluster.token,
    "pipelines API": cluster.pipelines,
    "rights: pipelines": cluster.pipeline_rights,
    "rights: deploy": cluster.deploy_rights,
    "model registry": stores.registry,
    "bucket": stores.bucket,
    "clock": stores.clock,
}
