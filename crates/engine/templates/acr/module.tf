# Supercargo learns of pushes and deletes in an Azure Container Registry and reads its images.
#
# For the integration @name@ of @host@. The same resources as in the ARM template, under the same names. The token has
# no password: make one once it is there, as `supercargo integration show @name@` says. Terraform would keep it in its
# state.

terraform {
  required_version = ">= 1.3"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

#@if call
variable "webhook" {
  description = "Where supercargo takes the events of Event Grid. The secret is a part of it"
  type        = string
  default     = "@webhook@"
  sensitive   = true
}
#@end
#@if queue
variable "storage_account" {
  description = "The storage account of the queue, in the registry's resource group. It has to be there"
  type        = string
  default     = "@storage-account@"
}

variable "queue" {
  description = "The queue that supercargo asks"
  type        = string
  default     = "@queue@"
}
#@end

variable "registry_name" {
  description = "The registry: its name, not its host"
  type        = string
  default     = "@registry-name@"
}

variable "resource_group" {
  description = "The registry's resource group"
  type        = string
}

variable "system_topic" {
  description = "The registry's system topic. A registry can have one only: if it has one already, import it"
  type        = string
  default     = "docker-scout-repository"
}

data "azurerm_container_registry" "registry" {
  name                = var.registry_name
  resource_group_name = var.resource_group
}

#@if queue
data "azurerm_storage_account" "storage" {
  name                = var.storage_account
  resource_group_name = var.resource_group
}

resource "azurerm_storage_queue" "events" {
  name                 = var.queue
  storage_account_name = data.azurerm_storage_account.storage.name
}

#@end
resource "azurerm_eventgrid_system_topic" "docker_scout_repository" {
  name                   = var.system_topic
  location               = data.azurerm_container_registry.registry.location
  resource_group_name    = var.resource_group
  source_arm_resource_id = data.azurerm_container_registry.registry.id
  topic_type             = "Microsoft.ContainerRegistry.Registries"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "image_change" {
  name                = "image-change"
  system_topic        = azurerm_eventgrid_system_topic.docker_scout_repository.name
  resource_group_name = var.resource_group

#@if call
  webhook_endpoint {
    url                               = var.webhook
    max_events_per_batch              = 1
    preferred_batch_size_in_kilobytes = 64
  }
#@end
#@if queue
  storage_queue_endpoint {
    storage_account_id                    = data.azurerm_storage_account.storage.id
    queue_name                            = azurerm_storage_queue.events.name
    queue_message_time_to_live_in_seconds = 1209600
  }
#@end

  event_delivery_schema = "EventGridSchema"
  included_event_types = [
    "Microsoft.ContainerRegistry.ImagePushed",
    "Microsoft.ContainerRegistry.ImageDeleted",
  ]
  advanced_filtering_on_arrays_enabled = true

  retry_policy {
    max_delivery_attempts = 30
    event_time_to_live    = 1440
  }
}
#@if list

# Reads everything and lists it: no map without the wildcard may list the catalog.
resource "azurerm_container_registry_scope_map" "supercargo_list_and_pull" {
  name                    = "supercargo-list-and-pull"
  container_registry_name = var.registry_name
  resource_group_name     = var.resource_group
  actions = [
    "repositories/*/content/read",
    "repositories/*/metadata/read",
  ]
}
#@end
#@if pull-only

data "azurerm_container_registry_scope_map" "repositories_pull_metadata_read" {
  name                    = "_repositories_pull_metadata_read"
  container_registry_name = var.registry_name
  resource_group_name     = var.resource_group
}
#@end

resource "azurerm_container_registry_token" "docker_scout_readonly_token" {
  name                    = "docker-scout-readonly-token"
  container_registry_name = var.registry_name
  resource_group_name     = var.resource_group
#@if list
  scope_map_id            = azurerm_container_registry_scope_map.supercargo_list_and_pull.id
#@end
#@if pull-only
  scope_map_id            = data.azurerm_container_registry_scope_map.repositories_pull_metadata_read.id
#@end
}
