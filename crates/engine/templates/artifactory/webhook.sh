# Artifactory tells supercargo of every push: a webhook for the integration @name@ of @host@.
#
# ARTIFACTORY_TOKEN is an access token of somebody who may manage webhooks (an administrator, a project's
# administrator, or the role "Manage Webhooks"). The webhook signs what it sends with the secret below.

curl --fail-with-body --silent --show-error \
  --request POST '@platform@/event/api/v1/subscriptions' \
  --header "Authorization: Bearer $ARTIFACTORY_TOKEN" \
  --header 'Content-Type: application/json' \
  --data-binary @- <<'JSON'
@body@
JSON
