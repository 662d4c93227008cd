import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { SocketTunerError } from '../errors'

/** What the package has a prebuilt addon for, as platform-architecture[-C library]. */
export const prebuiltTargets = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-glibc',
  'linux-arm64-musl',
  'linux-x64-glibc',
  'linux-x64-musl',
] as const

const FILE = 'socket_tuner.node'

/** The package's folder; undefined in a bundle of ES modules, which has no `__dirname`. */
const ROOT = typeof __dirname === 'string' ? join(__dirname, '..', '..') : undefined

const BUILD =
  'Build it, with python3, make and a C++17 compiler installed: `npm install node-addon-api` and ' +
  '`npx node-gyp rebuild -C node_modules/socket-tuner/native`.'

/**
 * Loads the native addon: the one in the folder that SOCKET_TUNER_PREBUILD names, or the one that was
 * built in place, or the prebuilt one of this platform.
 *
 * @throws ERR_SOCKET_TUNER_NO_ADDON, whose message says how to get an addon that loads
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
 * The path of the addon's file.
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

/** The platform, the architecture and on Linux the C library: the name of a folder under prebuilds/. */
function target(): string {
  const name = `${process.platform}-${process.arch}`
  return process.platform === 'linux' ? `${name}-${libc()}` : name
}

/** The C library of this process, by the loader that its program names. */
function libc(): 'glibc' | 'musl' {
  let head: string
  try {
    head = headOf(process.execPath)
  } catch {
    // The permission model may forbid reading the program. The report has no version with musl.
    const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
    return report.header !== undefined && report.header.glibcVersionRuntime === undefined
      ? 'musl'
      : 'glibc'
  }
  return head.includes('/ld-musl-') ? 'musl' : 'glibc'
}

/** The first 4 KiB of a file: the name of an ELF program's loader is there. */
function headOf(path: string): string {
  const bytes = Buffer.alloc(4096)
  const fd = openSync(path, 'r')
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}

/** Why there is no file of the addon, and what to do. */
function absence(): string {
  if (ROOT === undefined || !isPackage(ROOT)) {
    return (
      'socket-tuner was bundled, and a bundle does not hold its native addon. Mark socket-tuner as ' +
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
    return `socket-tuner supports Linux, macOS and, with less, Windows. This is ${name}.`
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
