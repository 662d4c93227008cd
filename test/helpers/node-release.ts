import { execFile } from 'node:child_process'
import * as path from 'node:path'
import { promisify } from 'node:util'

const ROOT = path.join(__dirname, '..', '..')

/** The path of a node of another release, installed where it is not there yet: some clients need a later one. */
export async function installNode(release: string): Promise<string> {
  const script = path.join('.ci', 'node')
  const { stdout } = await promisify(execFile)('bash', [script, release], { cwd: ROOT })
  return stdout.trim()
}

/** Enough for the installation. */
export const INSTALL_DEADLINE_MS = 280_000
