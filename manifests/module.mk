# SPDX-License-Identifier: Apache-2.0
# Schemas and examples are data; tests/ reads all of them.
