import { execFile } from 'node:child_process'
import * as path from 'node:path'
import { promisify } from 'node:util'

const ROOT = path.join(__dirname, '..', '..')

/** Installs another release of Node if necessary, and returns its path: some clients need a later one. */
export async function installNode(release: string): Promise<string> {
  const script = path.join('.ci', 'node')
  const { stdout } = await promisify(execFile)('bash', [script, release], { cwd: ROOT })
  return stdout.trim()
}

/** The time limit of the installation. */
export const INSTALL_DEADLINE_MS = 280_000
