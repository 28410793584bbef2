/* SPDX-License-Identifier: Apache-2.0 */

export const two = n => (n < 10 ? "0" + n : "" + n);

export const clockText = date => two(date.getHours()) + ":" + two(date.getMinutes());

/* Minutes from `date` to the next time the clock shows hour:minute. */
export const minutesUntil = (date, hour, minute) => {
  const now = date.getHours() * 60 + date.getMinutes();
  return (hour * 60 + minute - now + 1440) % 1440;
};
