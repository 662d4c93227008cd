import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { SocketTunerError } from '../errors'

/** The targets with a prebuilt addon: platform-architecture[-C library]. */
export const prebuiltTargets = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-glibc',
  'linux-arm64-musl',
  'linux-x64-glibc',
  'linux-x64-musl',
] as const

const FILE = 'socket_tuner.node'

/** The folder of the package; undefined in a bundle of ES modules, which has no `__dirname`. */
const ROOT = typeof __dirname === 'string' ? join(__dirname, '..', '..') : undefined

const BUILD =
  'Build it, with python3, make and a C++17 compiler installed: `npm install node-addon-api` and ' +
  '`npx node-gyp rebuild -C node_modules/socket-tuner/native`.'

/**
 * Loads the native addon: the one in the folder SOCKET_TUNER_PREBUILD, the one built in place, or the prebuilt
 * one for this platform.
 *
 * @throws ERR_SOCKET_TUNER_NO_ADDON, with the cause and the fix in the message
 */
export function loadAddon(): unknown {
  const file = addonFile()
  try {
    // Not `require`, which bundlers replace.
    return createRequire(file)(file)
  } catch (cause) {
    throw notLoaded(file, cause)
  }
}

/**
 * Returns the path of the addon.
 *
 * @throws ERR_SOCKET_TUNER_NO_ADDON
 */
export function addonFile(): string {
  const chosen = process.env.SOCKET_TUNER_PREBUILD
  if (chosen !== undefined && chosen !== '') return join(chosen, FILE)
  if (ROOT !== undefined) {
    const built = join(ROOT, 'native', 'build', 'Release', FILE)
    if (existsSync(built)) return built
    const prebuilt = join(ROOT, 'prebuilds', target(), FILE)
    if (existsSync(prebuilt)) return prebuilt
  }
  throw noAddon(absence())
}

/** Returns the name of this target's folder under prebuilds/. */
function target(): string {
  const name = `${process.platform}-${process.arch}`
  return process.platform === 'linux' ? `${name}-${libc()}` : name
}

/** Returns the C library of this process, by the loader (PT_INTERP) in its executable. */
function libc(): 'glibc' | 'musl' {
  let head: string
  try {
    head = headOf(process.execPath)
  } catch {
    // The permission model may forbid reading the executable. With musl, the report has no version of glibc.
    const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
    return report.header !== undefined && report.header.glibcVersionRuntime === undefined
      ? 'musl'
      : 'glibc'
  }
  return head.includes('/ld-musl-') ? 'musl' : 'glibc'
}

/** Returns the first 4 KiB of a file, which contain the name of the loader in an ELF executable. */
function headOf(path: string): string {
  const bytes = Buffer.alloc(4096)
  const fd = openSync(path, 'r')
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}

/** Returns the reason why the addon is missing, and the fix. */
function absence(): string {
  if (ROOT === undefined || !isPackage(ROOT)) {
    return (
      'socket-tuner was bundled, and a bundle does not contain its native addon. Mark socket-tuner as ' +
      'external (esbuild: `--external:socket-tuner`; webpack: `externals`; Rollup: `external`; ncc: ' +
      '`--external socket-tuner`) and install it where the bundle runs.'
    )
  }
  const name = target()
  if (existsSync(join(ROOT, 'tsconfig.json'))) {
    return 'The native addon of socket-tuner is not built. Run `npm run build:native`.'
  }
  if ((prebuiltTargets as readonly string[]).includes(name)) {
    return (
      `The native addon of socket-tuner for ${name} is missing from ${ROOT}. ` +
      'Install the package again, and copy its folder prebuilds/ wherever you copy the package.'
    )
  }
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    return `socket-tuner supports Linux, macOS and, with fewer features, Windows. This is ${name}.`
  }
  return (
    `socket-tuner has no prebuilt native addon for ${name}, only for ` +
    `${prebuiltTargets.join(', ')}. ${BUILD}`
  )
}

function isPackage(folder: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name?: unknown
    }
    return manifest.name === 'socket-tuner'
  } catch {
    return false
  }
}

function notLoaded(file: string, cause: unknown): SocketTunerError {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'ERR_DLOPEN_DISABLED') {
    return noAddon(
      (process as { permission?: unknown }).permission === undefined
        ? 'Node was started with --no-addons, and socket-tuner is a native addon. Start Node without it.'
        : 'The permission model forbids native addons, and socket-tuner is one. Start Node with --allow-addons.',
      cause,
    )
  }
  return noAddon(
    `The native addon of socket-tuner could not be loaded from ${file}: ${message}. ${BUILD}`,
    cause,
  )
}

function noAddon(message: string, cause?: unknown): SocketTunerError {
  return new SocketTunerError(message, { code: 'ERR_SOCKET_TUNER_NO_ADDON', cause })
}
