/** Finds the configuration of the process. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

/** The text of a configuration. */
export interface FoundText {
  /** SOCKET_TUNER, or the path of the file. */
  readonly name: string
  readonly text: string
}

/** A configuration file cannot be read. */
export class UnreadableFile extends Error {}

export const VARIABLE = 'SOCKET_TUNER'
export const FILE = 'socket-tuner.json'
const DATA = 'socket-tuner/register'

/**
 * Returns the configuration. `SOCKET_TUNER` contains JSON, or `@` and the path of a JSON file; an empty value
 * disables everything. If the variable is not set, socket-tuner.json in the working directory is used, if it exists.
 *
 * A worker thread uses the configuration of its parent thread, even if the environment, the file or the working
 * directory have changed since, unless its own environment sets SOCKET_TUNER to another value.
 *
 * @throws UnreadableFile
 */
export function findConfiguration(): FoundText | undefined {
  const value = process.env[VARIABLE]
  const inherited = isMainThread
    ? undefined
    : (getEnvironmentData(DATA) as InheritedText | undefined)
  if (inherited !== undefined && (value === undefined || value === inherited.value))
    return inherited.found
  const found = value === undefined ? fileHere() : ofVariable(value)
  setEnvironmentData(DATA, { value, found } satisfies InheritedText)
  return found
}

interface InheritedText {
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
