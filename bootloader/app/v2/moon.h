/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RB_APP_V2_MOON_H
#define RB_APP_V2_MOON_H

#include <stdint.h>

/** Age of the moon at a minute since 1970, in SINE_STEPS a month: 0 new, a half of them full. Mean motion with the
 * largest term of each orbit; right to about two hours. */
int32_t moon_age(uint32_t utc_minute);

/** Draw the moon of that age as a disc around x, y. */
void moon_draw(int32_t x, int32_t y, int32_t radius, int32_t age);

#endif
