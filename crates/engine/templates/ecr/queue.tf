# Supercargo learns of pushes and deletes in an account's Amazon ECR and reads its images: events by queue.
#
# For the integration @name@ of @host@. The same resources as in the CloudFormation stack, under the same names.
# Nothing has to reach supercargo from outside: it asks the queue.

terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "supercargo_principal" {
  description = "Who may read the queue and assume the role that reads ECR, as an ARN"
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

resource "aws_sqs_queue" "event_queue" {
  name = "@resource@"
  # Four days: supercargo may be away for a long weekend. What it missed after that, it finds by asking the registry.
  message_retention_seconds  = 345600
  visibility_timeout_seconds = 60
  # A long poll is one request in twenty seconds.
  receive_wait_time_seconds = 20
  sqs_managed_sse_enabled   = true
#@if dead-letter-queue

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter_queue.arn
    maxReceiveCount     = 10
  })
#@end

  lifecycle {
    precondition {
      condition     = data.aws_caller_identity.current.account_id == "@account@" && data.aws_region.current.id == "@region@"
      error_message = "This is for account @account@ and region @region@: supercargo looks for the resources there."
    }
  }
}

resource "aws_sqs_queue_policy" "event_queue_policy" {
  queue_url = aws_sqs_queue.event_queue.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.event_queue.arn
        Condition = {
          ArnEquals = {
            "aws:SourceArn" = [
              aws_cloudwatch_event_rule.supercargo_ecr_rule.arn,
              aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.arn,
            ]
          }
        }
      },
      {
        Sid       = "Supercargo"
        Effect    = "Allow"
        Principal = { AWS = var.supercargo_principal }
        Action    = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        Resource  = aws_sqs_queue.event_queue.arn
      },
    ]
  })
}
#@if dead-letter-queue

# What could not be stored ten times over.
resource "aws_sqs_queue" "dead_letter_queue" {
  name                      = "@resource@-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}
#@end

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
  rule = aws_cloudwatch_event_rule.supercargo_ecr_rule.name
  arn  = aws_sqs_queue.event_queue.arn
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
  rule = aws_cloudwatch_event_rule.supercargo_repo_deleted_rule.name
  arn  = aws_sqs_queue.event_queue.arn
}

resource "aws_iam_role" "assume_role_ecr_access" {
  name        = "@resource@"
  description = "Supercargo may read this region's images"

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
    ]
  })
}

output "role_arn" {
  description = "The role that supercargo assumes"
  value       = aws_iam_role.assume_role_ecr_access.arn
}

output "queue_url" {
  description = "The queue that supercargo asks"
  value       = aws_sqs_queue.event_queue.id
}
