"""moto's server, and what our stacks need of it that it does not have.

- Types of resources that its CloudFormation does not know. Each is made by moto's own service: what is missing there is
  the way from a template to it.
- Roles of our stacks can be assumed only when they are there, and only by who names their external ID. moto lets
  everybody be anything.
"""

import json
import re
import sys

from moto import server
from moto.core.common_models import CloudFormationModel
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sts.exceptions import STSClientError
from moto.sts.models import STSBackend

SECRET = re.compile(r"^\{\{resolve:secretsmanager:(?P<arn>arn:.+):SecretString:(?P<key>\w+)\}\}$")


class Made:
    """A resource that was made of a template, with its name and the attributes that others may refer to.

    moto counts instances by the service that a class belongs to, and reads that in the name of its module.
    """

    attributes = ()

    def __init__(self, name, **attributes):
        self.physical_resource_id = name
        self.named = attributes

    def get_cfn_attribute(self, name):
        return self.named[name]

    @classmethod
    def has_cfn_attr(cls, name):
        return name in cls.attributes

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def update_from_cloudformation_json(cls, original, name, template, account, region):
        return cls.create_from_cloudformation_json(name, template, account, region)

    def is_created(self):
        return True


class Secret(Made, CloudFormationModel):
    __module__ = "moto.secretsmanager"
    @staticmethod
    def cloudformation_type():
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account_id, region_name, **kwargs):
        backend, given = secretsmanager_backends[account_id][region_name], template["Properties"]
        made = backend.create_secret(
            name=name, secret_string=given["SecretString"], secret_binary=None, description=given.get("Description"),
            tags=[], kms_key_id=None, client_request_token=None, replica_regions=[], force_overwrite=False)
        return cls(json.loads(made)["ARN"])

    @classmethod
    def delete_from_cloudformation_json(cls, name, template, account_id, region_name):
        secretsmanager_backends[account_id][region_name].delete_secret(name, None, True)


class Connection(Made, CloudFormationModel):
    __module__ = "moto.events"
    attributes = ("Arn",)

    @staticmethod
    def cloudformation_type():
        return "AWS::Events::Connection"

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account_id, region_name, **kwargs):
        given, secrets = template["Properties"], secretsmanager_backends[account_id][region_name]

        def plain(node):
            if isinstance(node, dict):
                return {key: plain(value) for key, value in node.items()}
            reference = SECRET.match(node)
            if not reference:
                return node
            return json.loads(secrets.get_secret_value(reference["arn"], "", "")["SecretString"])[reference["key"]]

        made = events_backends[account_id][region_name].create_connection(
            given["Name"], given.get("Description", ""), given["AuthorizationType"], plain(given["AuthParameters"]))
        # moto shows the password to nobody, as AWS does; whoever plays EventBridge reads it in its secret.
        return cls(given["Name"], Arn=made.arn)

    @classmethod
    def delete_from_cloudformation_json(cls, name, template, account_id, region_name):
        events_backends[account_id][region_name].delete_connection(name)


class ApiDestination(Made, CloudFormationModel):
    __module__ = "moto.events"
    attributes = ("Arn",)

    @staticmethod
    def cloudformation_type():
        return "AWS::Events::ApiDestination"

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account_id, region_name, **kwargs):
        given = template["Properties"]
        made = events_backends[account_id][region_name].create_api_destination(
            name=given["Name"], description=given.get("Description", ""), connection_arn=given["ConnectionArn"],
            invocation_endpoint=given["InvocationEndpoint"], invocation_rate_limit_per_second="",
            http_method=given["HttpMethod"])
        return cls(given["Name"], Arn=made["ApiDestinationArn"])

    @classmethod
    def delete_from_cloudformation_json(cls, name, template, account_id, region_name):
        events_backends[account_id][region_name].delete_api_destination(name)


class TopicPolicy(Made, CloudFormationModel):
    __module__ = "moto.sns"
    @staticmethod
    def cloudformation_type():
        return "AWS::SNS::TopicPolicy"

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account_id, region_name, **kwargs):
        given = template["Properties"]
        for topic in given["Topics"]:
            backend = sns_backends[account_id][region_name]
            backend.set_topic_attribute(topic, "Policy", json.dumps(given["PolicyDocument"]))
        return cls(name)

    @classmethod
    def delete_from_cloudformation_json(cls, name, template, account_id, region_name):
        pass


anybody_assumes = STSBackend.assume_role


def assume_role(self, *args, **kwargs):
    arn, external_id = kwargs["role_arn"], kwargs.get("external_id")
    _, partition, _, _, account, resource = arn.split(":", 5)
    name = resource.removeprefix("role/")
    if name.startswith("supercargo-"):
        roles = iam_backends[account][partition].roles.values()
        trust = next((role.assume_role_policy_document for role in roles if role.name == name), None)
        wanted = trust and json.loads(trust)["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]
        if not wanted or wanted != external_id:
            who = "arn:aws:iam::123456789012:user/somebody"
            raise STSClientError("AccessDenied", f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}")
    return anybody_assumes(self, *args, **kwargs)


STSBackend.assume_role = assume_role

if __name__ == "__main__":
    server.main(sys.argv[1:])
