"""Values of the Helm chart, in rows that use each of its parts."""

from __future__ import annotations

import copy
from typing import Any

ROOT_POLICY = 'version: 1\nallow: [{id: all, to: [authenticated], repositories: ["**"], role: reader}]\n'
TEAM_POLICY = 'version: 1\nallow: [{id: web, to: [authenticated], repositories: ["web/**"], role: writer}]\n'

DELEGATING = f'{ROOT_POLICY}delegate: [{{file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]}}]\n'

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

VALUES: dict[str, Any] = {
    "image": {"repository": "registry.example.com/infra/tokenserver"},
    "config": {
        "issuer": "auth.example.com",
        "server": {"url": "https://auth.example.com", "trusted_proxies": ["10.0.0.0/8"]},
        "registries": [{"service": "registry.example.com"}],
        "authentication": [{"htpasswd": {"file": "/run/tokenserver/secrets/users/users.htpasswd"}}],
    },
    "keys": {"existingSecret": "keys"},
    "secretMounts": {"users": {"existingSecret": "users"}},
    "policies": {"files": {"root.yaml": ROOT_POLICY}},
}
"""As few as possible; `keys.ids` are those of the Secret that the tests make."""


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The values with changes, each at a dotted path."""
    made = copy.deepcopy(base)
    for path, value in changes.items():
        *steps, last = path.split(".")
        place = made
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = copy.deepcopy(value)
    return made


POSTGRESQL = {"storage.kind": "postgresql", "stateKey.existingSecret": "keys"}
MANAGED = {
    **POSTGRESQL,
    "storage.postgresql": {"url": "postgresql://tokenserver@127.0.0.1:1/tokenserver"},
    "management.enabled": True,
    "config.server.management_url": "https://account.example.com",
}
ITEMS = [{"key": "root", "path": "root.yaml"}, {"key": "web", "path": "teams/web.yaml"}]
GIT = {"policies": {"gitSync": {"repository": "https://git.example.com/policies.git"}, "path": "policies"}}

GOOD: dict[str, dict[str, Any]] = {
    "minimal": {},
    "ingress": {
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "ingress-tls", "annotations": {"a/b": "c"}}
    },
    "gateway": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}},
    "path": {"config.server.url": "https://example.com/registry-auth", "ingress.enabled": True},
    "tls": {"tls.existingSecret": "tls", "service": {"type": "LoadBalancer", "port": 443}},
    "cert-manager": {"tls.certManager": {"enabled": True, "issuerRef": {"name": "company", "kind": "ClusterIssuer"}}},
    "postgresql": {
        **POSTGRESQL,
        "storage.postgresql": {
            "url": "postgresql://tokenserver@127.0.0.1:1/tokenserver",
            "existingSecret": "database",
            "passwordKey": "password",
            "migrate": True,
        },
        "config.access_keys": {"max_lifetime": 31536000},
        "config.refresh_tokens": {},
    },
    "postgresql-url": {
        **POSTGRESQL,
        "storage.postgresql": {"existingSecret": "database", "urlKey": "url", "passwordKey": "password"},
        "config.access_keys": {},
    },
    "sqlite": {
        "storage": {"kind": "sqlite", "sqlite": {"storageClassName": "fast"}},
        "stateKey.existingSecret": "state",
        "replicas": 1,
    },
    "redis": {
        "redis": {
            "url": "redis://127.0.0.1:1/0",
            "existingSecret": "redis",
            "passwordKey": "password",
            "secretKey": "secret",
        },
        "config.throttle": {"failures_per_user": 3},
    },
    "redis-url": {"redis": {"existingSecret": "redis", "urlKey": "url", "passwordKey": "password"}},
    "management": {
        **MANAGED,
        "ingress.enabled": True,
        "management.ingress.enabled": True,
        "management.httpRoute": {"enabled": True, "parentRefs": [{"name": "internal"}]},
        "networkPolicy": {"enabled": True, "managementFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
    },
    "notifications": {
        "config.registries": [
            {
                "service": "registry.example.com",
                "notifications": {"secret_file": "/run/tokenserver/secrets/reports/secret"},
            }
        ],
        "secretMounts.reports": {"existingSecret": "reports"},
        "notifications": {"enabled": True, "service": {"port": 5004}},
        "networkPolicy": {"enabled": True, "notificationsFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
    },
    "monitoring": {
        "metrics": {
            "enabled": True,
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {
                "enabled": True,
                "labels": {"release": "prometheus"},
                "runbookUrl": "https://docs.example.com/runbook.html",
            },
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Registries"}},
        },
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
            "metricsFrom": [{"namespaceSelector": {}}],
            "restrictEgress": True,
            "egress": [{"ports": [{"port": 636}], "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}],
        },
    },
    "autoscaling": {
        "autoscaling": {
            "enabled": True,
            "minReplicas": 3,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
        "podDisruptionBudget.maxUnavailable": "25%",
    },
    "ldap": {
        "config.authentication": [
            {
                "ldap": {
                    "name": "corp",
                    "preset": "openldap",
                    "url": "ldaps://ldap.example.com",
                    "base": "dc=example,dc=com",
                    "bind_dn": "cn=reader,dc=example,dc=com",
                    "bind_password_file": "/run/tokenserver/secrets/directory/password",
                    "ca_file": "/run/tokenserver/files/authorities/ca.crt",
                }
            }
        ],
        "secretMounts": {"directory": {"existingSecret": "directory", "items": [{"key": "bind", "path": "password"}]}},
        "fileMounts": {"authorities": {"existingConfigMap": "authorities"}},
    },
    "workloads-of-this-cluster": {
        "config.authentication": [
            {
                "workload": {
                    "name": "cluster",
                    "preset": "kubernetes",
                    "issuer": "https://kubernetes.default.svc.cluster.local",
                    "audience": "https://auth.example.com",
                    "keys": {
                        "url": "https://kubernetes.default.svc/openid/v1/jwks",
                        "token_file": f"{SERVICE_ACCOUNT}/token",
                    },
                }
            }
        ],
        "serviceAccount.automountToken": True,
    },
    "registries": {
        "config.registries": "/run/tokenserver/files/registries",
        "fileMounts": {"registries": {"existingConfigMap": "registries"}},
    },
    "policy-tree": {"policies.files": {"root.yaml": DELEGATING, "teams/web.yaml": TEAM_POLICY}},
    "policies-of-a-config-map": {"policies": {"existingConfigMap": "policies", "items": ITEMS}},
    "git-by-https": GIT,
    "git-by-ssh": {**GIT, "policies.gitSync.method": "ssh", "policies.gitSync.existingSecret": "git"},
    "git-with-a-private-authority": {
        **GIT,
        "policies.gitSync.extraEnv": [{"name": "GIT_SSL_CAINFO", "value": "/authorities/ca.crt"}],
        "policies.gitSync.extraVolumeMounts": [{"name": "authorities", "mountPath": "/authorities", "readOnly": True}],
        "extraVolumes": [{"name": "authorities", "configMap": {"name": "authorities"}}],
    },
    "git-by-password": {**GIT, "policies.gitSync.method": "password", "policies.gitSync.existingSecret": "git"},
    "policies-of-a-claim": {"policies": {"existingClaim": "policies", "path": "policies"}},
    "policies-of-a-volume": {
        "policies": {"volume": {"csi": {"driver": "policies.example.com", "readOnly": True}}, "path": "policies"}
    },
    "rotating-keys": {"keys": {"existingClaim": "keys"}, "config.keys.rotate_every": "30d"},
    "openshift": {"runAsUser": None},
    "everything-extra": {
        "image.digest": "sha256:" + "0" * 64,
        "imagePullSecrets": [{"name": "pull"}],
        "commonLabels": {"team": "infra"},
        "annotations": {"a": "b"},
        "podAnnotations": {"a": "b"},
        "podLabels": {"a": "b"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "priorityClassName": "system-cluster-critical",
        "extraPodSpec": {"dnsPolicy": "Default"},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%"}},
        "podSecurityContext": {"supplementalGroups": [2000]},
        "serviceAccount.annotations": {"a": "b"},
        "extraEnv": [{"name": "TOKENSERVER_ANONYMOUS", "value": "true"}],
        "extraEnvFrom": [{"configMapRef": {"name": "more", "optional": True}}],
        "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "scratch", "mountPath": "/run/tokenserver/scratch"}],
        "extraInitContainers": [{"name": "first", "image": "example.com/first:1"}],
        "extraContainers": [{"name": "second", "image": "example.com/second:1"}],
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"A": "b"}}],
        "probes.readiness.path": "/readyz",
        "restartOnConfigChange": False,
        "networkPolicy.enabled": True,
    },
}
