"""Prints the documents of a YAML stream, from standard input, as one list of JSON.

With --kubernetes they have to be objects as the oldest version of Kubernetes that the chart takes knows them, and as the
newest one does."""

import json
import sys

import kubernetes_validate
import yaml

VERSIONS = ["1.30", kubernetes_validate.latest_version()]

# Of the operator of Prometheus, whose schemas are not Kubernetes's.
OTHERS = ["monitoring.coreos.com/v1"]

documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
if "--kubernetes" in sys.argv:
    for document in documents:
        if document["apiVersion"] in OTHERS:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                sys.exit(f"{document['kind']} {document['metadata']['name']}, {version}: {error}")
json.dump(documents, sys.stdout)
