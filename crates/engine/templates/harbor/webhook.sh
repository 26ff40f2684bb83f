# Harbor tells supercargo of every push: a webhook for the integration @name@ of @host@, in one project.
#
# HARBOR_PROJECT is the project; run it for each. HARBOR_USER and HARBOR_PASSWORD are somebody who administers it.

curl --fail-with-body --silent --show-error \
  --request POST "@api@/projects/$HARBOR_PROJECT/webhook/policies" \
  --user "$HARBOR_USER:$HARBOR_PASSWORD" \
  --header 'X-Is-Resource-Name: true' \
  --header 'Content-Type: application/json' \
  --data-binary @- <<'JSON'
{
  "name": "@resource@",
  "description": "Tells supercargo of pushed and deleted images (integration @name@)",
  "enabled": true,
  "event_types": ["PUSH_ARTIFACT", "DELETE_ARTIFACT", "TAG_RETENTION"],
  "targets": [
    {
      "type": "http",
      "address": "@webhook@",
      "auth_header": "@secret@",
      "skip_cert_verify": false,
      "payload_format": "Default"
    }
  ]
}
JSON
