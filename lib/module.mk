# SPDX-License-Identifier: Apache-2.0
# What everything shares. lib/core knows no libc; lib/host is its POSIX side; lib/tuf is the metadata client.
CORE_SOURCES := $(filter-out lib/core/mem.c,$(sort $(wildcard lib/core/*.c)))
$(eval $(call library,core,$(CORE_SOURCES)))
$(eval $(call library,host,$(sort $(wildcard lib/host/*.c))))
$(eval $(call library,tuf,$(sort $(wildcard lib/tuf/*.c))))
