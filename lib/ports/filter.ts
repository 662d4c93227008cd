/** Filters of sockets as callers write them. */
import { checkPort, familyOf } from '../connect/address'
import { ArgumentValueError, checkObject, checkOptions, checkWhole } from '../errors'
import type { SocketFilter } from '../observe/sock-diag-filter'
import type { PortRange } from '../options/values'

export const filterFields = [
  'localAddress',
  'localPort',
  'remoteAddress',
  'remotePort',
  'localPortRange',
] as const

/**
 * The fields of a filter that an object has, checked; whatever else it has is left out.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function checkFilter(argument: string, filter: unknown): SocketFilter {
  checkObject(argument, filter)
  const { localAddress, localPort, remoteAddress, remotePort, localPortRange } =
    filter as SocketFilter
  if (localAddress !== undefined) familyOf(`${argument}.localAddress`, localAddress)
  if (remoteAddress !== undefined) familyOf(`${argument}.remoteAddress`, remoteAddress)
  if (localPort !== undefined) checkPort(`${argument}.localPort`, localPort)
  if (remotePort !== undefined) checkPort(`${argument}.remotePort`, remotePort)
  if (localPortRange !== undefined) checkRange(`${argument}.localPortRange`, localPortRange)
  return { localAddress, localPort, remoteAddress, remotePort, localPortRange }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkRange(argument: string, range: PortRange): void {
  checkOptions(argument, range)
  checkWhole(`${argument}.min`, range.min, 1, 65535)
  checkWhole(`${argument}.max`, range.max, 1, 65535)
  if (range.min > range.max)
    throw new ArgumentValueError(argument, 'must not have its min above its max', range)
}
