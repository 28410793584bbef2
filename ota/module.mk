# SPDX-License-Identifier: Apache-2.0
# The agent: libota (everything but the two mains), ota and otad.
OTA_MAINS := ota/main.c ota/otad.c
$(eval $(call library,ota,$(filter-out $(OTA_MAINS),$(sort $(wildcard ota/*.c)))))
ifneq ($(wildcard ota/main.c),)
$(eval $(call program,ota,ota/main.c,ota rpk tuf host core))
endif
ifneq ($(wildcard ota/otad.c),)
$(eval $(call program,otad,ota/otad.c,ota rpk tuf host core))
endif
