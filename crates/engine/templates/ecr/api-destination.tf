# Supercargo learns of pushes and deletes in an account's Amazon ECR and reads its images: events by API destination.
#
# For the integration @name@ of @host@. The same resources as in the CloudFormation stack, under the same names.
# The state of Terraform holds the secret: keep it where secrets are kept.

terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "endpoint" {
  description = "Where supercargo takes the events of ECR"
  type        = string
  default     = "@endpoint@"
}

variable "setup_endpoint" {
  description = "Where supercargo takes word of the set-up"
  type        = string
  default     = "@setup-endpoint@"
}

variable "endpoint_secret" {
  description = "What EventBridge proves itself with to supercargo"
  type        = string
  default     = "@secret@"
  sensitive   = true
}

variable "supercargo_principal" {
  description = "Who may assume the role that reads ECR, as an ARN"
  type        = string
  default     = "@principal@"
}

variable "external_id" {
  description = "What supercargo names when it assumes the role"
  type        = string
  default     = "@external-id@"
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_sns_topic" "sns_topic" {
  name = "@resource@"
  # Version 1 is SHA-1.
  signature_version = 2

  lifecycle {
    precondition {
      condition     = data.aws_caller_identity.current.account_id == "@account@" && data.aws_region.current.id == "@region@"
      error_message = "This is for account @account@ and region @region@: supercargo looks for the resources there."
    }
  }
}

# It waits until supercargo has confirmed: an endpoint that Amazon cannot reach shows here, and not weeks later.
resource "aws_sns_topic_subscription" "sns_topic" {
  topic_arn              = aws_sns_topic.sns_topic.arn
  protocol               = "https"
  endpoint               = var.setup_endpoint
  endpoint_auto_confirms = true
}

resource "aws_sns_topic_policy" "topic_policy" {
  arn = aws_sns_topic.sns_topic.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.sns_topic.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.arn } }
    }]
  })
}

resource "aws_secretsmanager_secret" "supercargo_credentials" {
  description = "What EventBridge signs in to supercargo with (integration @name@)"
}

resource "aws_secretsmanager_secret_version" "supercargo_credentials" {
  secret_id     = aws_secretsmanager_secret.supercargo_credentials.id
  secret_string = jsonencode({ username = "supercargo", password = var.endpoint_secret })
}

resource "aws_cloudwatch_event_connection" "connection" {
  name               = "@resource@"
  description        = "Signs in to supercargo"
  authorization_type = "BASIC"

  auth_parameters {
    basic {
      username = jsondecode(aws_secretsmanager_secret_version.supercargo_credentials.secret_string)["username"]
      password = jsondecode(aws_secretsmanager_secret_version.supercargo_credentials.secret_string)["password"]
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "api_destination" {
  name                = "@resource@"
  description         = "Supercargo's event endpoint"
  connection_arn      = aws_cloudwatch_event_connection.connection.arn
  invocation_endpoint = var.endpoint
  http_method         = "POST"
}

resource "aws_cloudwatch_event_rule" "supercargo_ecr_rule" {
  name        = "@resource@-images"
  description = "Pushes and deletes of images. Those that are cached or replicated announce themselves by events of their own"

  event_pattern = jsonencode({
    source = ["aws.ecr"]
    detail-type = [
      "ECR Image Action",
      "ECR Pull Through Cache Action",
      "ECR Replication Action",
      "ECR Referrer Action",
    ]
  })
}

resource "aws_cloudwatch_event_target" "supercargo_ecr_rule" {
  rule     = aws_cloudwatch_event_rule.supercargo_ecr_rule.name
  arn      = aws_cloudwatch_event_api_destination.api_destination.arn
  role_arn = aws_iam_role.invoke_api_role.arn
#@if dead-letter-queue

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter_queue.arn
  }
#@end
}

# ECR tells of a deleted repository through CloudTrail only: a trail has to log management events in this region.
resource "aws_cloudwatch_event_rule" "supercargo_repo_deleted_rule" {
  name        = "@resource@-repositories"
  description = "Deletes of repositories and what lifecycle policies expire"

  event_pattern = jsonencode({
    source      = ["aws.ecr"]
    detail-type = ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"]
    detail = {
      eventSource = ["ecr.amazonaws.com"]
      eventName   = ["DeleteRepository", "PolicyExecutionEvent"]
    }
  })
}

resource "aws_cloudwatch_event_target" "supercargo_repo_deleted_rule" {
  rule     = aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.name
  arn      = aws_cloudwatch_event_api_destination.api_destination.arn
  role_arn = aws_iam_role.invoke_api_role.arn
#@if dead-letter-queue

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter_queue.arn
  }
#@end
}

# The same by another way. What comes twice counts once.
resource "aws_cloudwatch_event_target" "sns_topic" {
  rule = aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.name
  arn  = aws_sns_topic.sns_topic.arn
}
#@if dead-letter-queue

# What could not be delivered within a day.
resource "aws_sqs_queue" "dead_letter_queue" {
  name                      = "@resource@-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "dead_letter_queue_policy" {
  queue_url = aws_sqs_queue.dead_letter_queue.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.dead_letter_queue.arn
      Condition = {
        ArnEquals = {
          "aws:SourceArn" = [
            aws_cloudwatch_event_rule.supercargo_ecr_rule.arn,
            aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.arn,
          ]
        }
      }
    }]
  })
}
#@end

resource "aws_iam_role" "invoke_api_role" {
  name_prefix = "supercargo-invoke-"
  description = "EventBridge may call supercargo's event endpoint, and nothing else"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "invoke_api_role" {
  name = "invoke"
  role = aws_iam_role.invoke_api_role.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.api_destination.arn
    }]
  })
}

resource "aws_iam_role" "assume_role_ecr_access" {
  name        = "@resource@"
  description = "Supercargo may read this region's images and the credentials of its own endpoint"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.supercargo_principal }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role_policy" "assume_role_ecr_access" {
  name = "read"
  role = aws_iam_role.assume_role_ecr_access.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # It has no resource to be limited to.
      {
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Effect = "Allow"
        Action = [
          "ecr:DescribeRepositories",
          "ecr:DescribeImages",
          "ecr:BatchGetImage",
          "ecr:GetDownloadUrlForLayer",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:ecr:@region@:@account@:repository/*"
      },
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.supercargo_credentials.arn
      },
    ]
  })
}

output "role_arn" {
  description = "The role that supercargo assumes"
  value       = aws_iam_role.assume_role_ecr_access.arn
}

output "topic_arn" {
  description = "The topic that tells supercargo of the set-up"
  value       = aws_sns_topic.sns_topic.arn
}
