/** Where the configuration of a process stands. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

/** A configuration as it was found. */
export interface FoundText {
  /** SOCKET_TUNER, or the file's path. */
  readonly name: string
  readonly text: string
}

/** A file that was named and cannot be read. */
export class UnreadableFile extends Error {}

export const VARIABLE = 'SOCKET_TUNER'
export const FILE = 'socket-tuner.json'
const DATA = 'socket-tuner/register'

/**
 * `SOCKET_TUNER` has JSON, or `@` and the path of a file with it; empty, it switches everything off.
 * Without it socket-tuner.json in the working directory counts, if there is one.
 *
 * A worker thread is configured as the thread that started it was, whatever became of the environment,
 * the file and the working directory since; unless it was given a SOCKET_TUNER of its own.
 *
 * @throws UnreadableFile
 */
export function findConfiguration(): FoundText | undefined {
  const value = process.env[VARIABLE]
  const inherited = isMainThread ? undefined : (getEnvironmentData(DATA) as Inherited | undefined)
  if (inherited !== undefined && (value === undefined || value === inherited.value))
    return inherited.found
  const found = value === undefined ? fileHere() : ofVariable(value)
  setEnvironmentData(DATA, { value, found } satisfies Inherited)
  return found
}

interface Inherited {
  readonly value: string | undefined
  readonly found: FoundText | undefined
}

function ofVariable(value: string): FoundText | undefined {
  if (value.trim() === '') return undefined
  if (!value.startsWith('@')) return { name: VARIABLE, text: value }
  const path = resolve(value.slice(1))
  try {
    return { name: path, text: read(path) }
  } catch (error) {
    throw new UnreadableFile(`${VARIABLE}: ${(error as Error).message}`)
  }
}

function fileHere(): FoundText | undefined {
  // The working directory may be gone.
  let path = FILE
  try {
    path = resolve(FILE)
    return { name: path, text: read(path) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new UnreadableFile(`${path}: ${message}`)
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
}
