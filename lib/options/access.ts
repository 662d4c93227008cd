import { native } from '../kernel/binding'
import { descriptorOf, type Target } from '../target'
import { hazard } from '../warnings'
import type { Codec } from './codec'
import { absentOption, kernelFailure } from './failure'
import { phaseOf, shortcomingOf, warnInherited, warnOf } from './hazards'
import { holdKeepAlive, type Held } from './keep-alive'
import {
  isPresent,
  needsPhase,
  readableOption,
  writableOption,
  type OptionInput,
  type OptionValue,
  type PresentOption,
  type ReadableOption,
  type WritableOption,
} from './option'

/**
 * Sets one option, with one system call. For SO_LINGER, and for an option that can be set too late,
 * one or two more system calls check for that, and a warning reports it.
 *
 * @throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for an invalid value; ERR_SOCKET_TUNER_UNSUPPORTED;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET; the errno name if the kernel refuses. Nothing is changed then.
 */
export function setOption<N extends WritableOption>(
  target: Target,
  name: N,
  value: OptionInput<N>,
): void {
  const held = writeOption(target, name, value)
  if (held !== undefined) holdKeepAlive(target, [held])
}

/** As {@link setOption}. Returns the option if Node's setKeepAlive() would overwrite it. */
export function writeOption<N extends WritableOption>(
  target: Target,
  name: N,
  value: OptionInput<N>,
): Held | undefined {
  const option = writableOption(name)
  const encoded = option.codec.encode(name, option.row, value)
  let fd = descriptorOf(target)
  if (!isPresent(option)) throw absentOption(option)
  if (option.guarded) {
    guard(option, fd, encoded)
    // A subscriber to warnings may have closed the socket.
    fd = descriptorOf(target)
  }
  const result = write(option, fd, encoded)
  if (result < 0) throw kernelFailure('setsockopt', option, fd, result, value)
  return option.held ? { option, encoded } : undefined
}

/**
 * Reads one option, with one system call.
 *
 * @throws ERR_SOCKET_TUNER_NOT_READABLE, ERR_SOCKET_TUNER_UNSUPPORTED, ERR_SOCKET_TUNER_WRONG_SOCKET;
 *   the errno name if the kernel refuses
 */
export function getOption<N extends ReadableOption>(target: Target, name: N): OptionValue<N> {
  const option = readableOption(name)
  let fd = descriptorOf(target)
  if (!isPresent(option)) throw absentOption(option)
  if (option.row.readHazard !== undefined) {
    warnRead(option)
    // A subscriber to warnings may have closed the socket.
    fd = descriptorOf(target)
  }
  return read(option, fd) as OptionValue<N>
}

function guard(option: PresentOption, fd: number, encoded: number | Uint8Array): void {
  if (needsPhase(option.row)) {
    const shortcoming = shortcomingOf(option, encoded, phaseOf(fd), fd)
    if (shortcoming !== undefined) warnOf(option, shortcoming)
  }
  warnInherited(option, fd, encoded)
}

function warnRead({ name, row }: PresentOption): void {
  if (name !== 'SO_ERROR') return
  hazard('SOCKET_TUNER_STEALS_ERROR', name, `Reading ${name}: ${row.readHazard ?? ''}`)
}

function write(option: PresentOption, fd: number, encoded: number | Uint8Array): number {
  const { level, number } = option
  if (typeof encoded === 'number') return native.setInt(fd, level, number, encoded)
  if (option.codec.carries === 'program') return native.setProgram(fd, level, number, encoded)
  return native.setBytes(fd, level, number, encoded)
}

function read(option: PresentOption, fd: number): unknown {
  const { codec, level, number } = option
  if (codec.carries === 'int') {
    const result = native.getInt(fd, level, number)
    if (result < 0) throw kernelFailure('getsockopt', option, fd, result)
    return codec.decode(result | 0)
  }
  return readBytes(option, codec, fd)
}

function readBytes(
  option: PresentOption,
  codec: Exclude<Codec, { carries: 'int' }>,
  fd: number,
): unknown {
  const bytes = new Uint8Array(codec.capacity(option.row))
  const length = native.getBytes(fd, option.level, option.number, bytes)
  if (length < 0) throw kernelFailure('getsockopt', option, fd, length)
  return codec.decode(bytes.subarray(0, length))
}
