# SPDX-License-Identifier: Apache-2.0
# librpk (everything but main.c) and rpk.
$(eval $(call library,rpk,$(filter-out pkgmgr/main.c,$(sort $(wildcard pkgmgr/*.c)))))
ifneq ($(wildcard pkgmgr/main.c),)
$(eval $(call program,rpk,pkgmgr/main.c,rpk tuf host core))
endif
