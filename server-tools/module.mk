# SPDX-License-Identifier: Apache-2.0
# otaforge: libforge (everything but main.c) and the program.
$(eval $(call library,forge,$(filter-out server-tools/main.c,$(sort $(wildcard server-tools/*.c)))))
ifneq ($(wildcard server-tools/main.c),)
$(eval $(call program,otaforge,server-tools/main.c,forge rpk tuf host core))
endif
