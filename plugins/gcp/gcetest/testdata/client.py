"""The life of a group through Google's client for Python, which is built from Google's discovery document.

Usage: client.py DISCOVERY-FILE URL. The server has the project acme-ci and no groups. The last line of the output is "done".
"""
import json
import sys
import time

import httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

PROJECT = "acme-ci"
ZONE = "us-central1-a"
REGION = "us-central1"


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: want {want!r}, got {got!r}")


def refused(request, status, text):
    try:
        request.execute()
    except HttpError as e:
        if e.resp.status == status and text in e._get_reason():
            return
        raise SystemExit(f"want status {status} with {text!r}, got {e.resp.status} {e._get_reason()!r}")
    raise SystemExit(f"want status {status} with {text!r}, got none")


class Place:
    """A zone or a region: the same methods have other names and parameters."""

    def __init__(self, api, regional):
        self.key = {"project": PROJECT, "region": REGION} if regional else {"project": PROJECT, "zone": ZONE}
        self.groups = api.regionInstanceGroupManagers() if regional else api.instanceGroupManagers()
        self.ops = api.regionOperations() if regional else api.zoneOperations()
        self.templates = api.regionInstanceTemplates() if regional else api.instanceTemplates()
        self.template_key = {"project": PROJECT, "region": REGION} if regional else {"project": PROJECT}

    def done(self, request):
        op = request.execute()
        check("the first status", op["status"], "RUNNING")
        op = self.ops.wait(operation=op["name"], **self.key).execute()
        check("the last status", (op["status"], op.get("error")), ("DONE", None))
        return op

    def members(self):
        request = self.groups.listManagedInstances(instanceGroupManager="ci", maxResults=2, **self.key)
        found = []
        while request is not None:
            answer = request.execute()
            found += answer.get("managedInstances", [])
            request = self.groups.listManagedInstances_next(request, answer)
        return found

    def until(self, count):
        deadline = time.time() + 60
        while time.time() < deadline:
            found = self.members()
            if len(found) == count and all(m["currentAction"] == "NONE" and m["instanceStatus"] == "RUNNING" for m in found):
                return found
            time.sleep(0.02)
        raise SystemExit(f"the group has not come to {count} instances: {self.members()}")


def life(api, regional):
    place = Place(api, regional)
    place.templates.insert(
        body={
            "name": "ci",
            "properties": {
                "machineType": "e2-small",
                "disks": [{"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}],
                "networkInterfaces": [{"network": "global/networks/default"}],
            },
        },
        **place.template_key,
    ).execute()
    link = place.templates.get(instanceTemplate="ci", **place.template_key).execute()["selfLink"]
    body = {"name": "ci", "targetSize": 1, "instanceTemplate": link, "listManagedInstancesResults": "PAGINATED"}
    place.done(place.groups.insert(body=body, **place.key))
    place.until(1)
    place.done(place.groups.resize(instanceGroupManager="ci", size=5, **place.key))
    found = place.until(5)
    zones = {m["instance"].split("/")[8] for m in found}
    check("the zones", zones, {"us-central1-a", "us-central1-b"} if regional else {ZONE})
    gone = [m["instance"] for m in found[:2]]
    place.done(place.groups.deleteInstances(instanceGroupManager="ci", body={"instances": gone}, **place.key))
    check("the members", [m["name"] for m in place.until(3)], [m["name"] for m in found[2:]])
    check("the size", place.groups.get(instanceGroupManager="ci", **place.key).execute()["targetSize"], 3)
    refused(place.groups.deleteInstances(instanceGroupManager="ci", body={"instances": gone}, **place.key), 400, "not a member")
    check("the errors", place.groups.listErrors(instanceGroupManager="ci", **place.key).execute().get("items", []), [])
    metadata(api, found[2])


def metadata(api, member):
    key = {"project": PROJECT, "zone": member["instance"].split("/")[8], "instance": member["name"]}
    instance = api.instances().get(**key).execute()
    check("the id", instance["id"], member["id"])
    change = instance["metadata"]
    change["items"].append({"key": "ssh-keys", "value": "ci:ssh-ed25519 AAAA"})
    api.instances().setMetadata(body=change, **key).execute()
    refused(api.instances().setMetadata(body=change, **key), 412, "fingerprint")
    listed = api.instances().list(project=PROJECT, zone=key["zone"], filter=f'name="{member["name"]}"').execute()["items"]
    check("the list", [i["id"] for i in listed], [member["id"]])


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        document = json.load(f)
    document["rootUrl"] = sys.argv[2] + "/"
    api = build_from_document(document, http=httplib2.Http(timeout=60))
    life(api, regional=False)
    life(api, regional=True)
    refused(api.zones().get(project="other", zone=ZONE), 404, "The resource 'projects/other' was not found")
    print("done")


main()
