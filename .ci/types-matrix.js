'use strict'

/**
 * types-matrix.js FOLDER PACKAGE: compiles .ci/types-matrix.ts with the compilers and the typings of Node in FOLDER, in
 * every kind of module resolution; with PROOFS=full, in all combinations. Checks the user's file and every declaration
 * of the package. Errors in the libraries of the compilers and in the typings of Node are ignored: they are not the
 * package's, and typings of later releases do not compile with TypeScript 5.4.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const { join, sep } = require('node:path')

const [folder, packageFolder] = process.argv.slice(2)
const isFull = process.env.PROOFS === 'full'
const compilers = ['5.4', '5.9', '6.0', '7.0']
const typings = ['20', '22', '24', '26']
/** The typings of Node to combine with each kind of module resolution. */
const typingsOf = { nodenext: typings, node16: ['22'], bundler: ['22'] }

/** Creates a user's project with the package and the typings of one release of Node. */
function makeProject(node) {
  const project = join(folder, `user-${node}`)
  fs.rmSync(project, { recursive: true, force: true })
  const modules = join(project, 'node_modules')
  fs.mkdirSync(join(modules, '@types'), { recursive: true })
  fs.symlinkSync(packageFolder, join(modules, 'socket-tuner'))
  fs.symlinkSync(join(folder, 'node_modules', `node-${node}`), join(modules, '@types', 'node'))
  fs.symlinkSync(join(folder, 'node_modules', 'undici-types'), join(modules, 'undici-types'))
  fs.copyFileSync(join(__dirname, 'types-matrix.ts'), join(project, 'main.ts'))
  return project
}

function configuration(moduleResolution) {
  return {
    compilerOptions: {
      target: 'es2022',
      module: moduleResolution === 'bundler' ? 'preserve' : moduleResolution,
      moduleResolution,
      types: ['node'],
      preserveSymlinks: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      skipLibCheck: false,
      noEmit: true,
    },
    files: ['main.ts'],
  }
}

/** Whether errors in this file are not the package's. */
function isForeign(path, project, libraries) {
  const modules = join(project, 'node_modules')
  const others = [libraries, join(modules, '@types', 'node'), join(modules, 'undici-types')]
  return others.some((other) => path.startsWith(other + sep))
}

/** Runs a compiler with an API in this process, so that it reads its libraries only once. */
function inProcess(ts, libraries) {
  const known = new Map()
  return (project, config) => {
    const name = join(project, 'tsconfig.json')
    const { options, fileNames, errors } = ts.parseJsonConfigFileContent(
      ...[config, ts.sys, project, undefined, name],
    )
    const host = ts.createCompilerHost(options)
    const read = host.getSourceFile
    host.getSourceFile = (path, ...rest) => {
      if (!path.startsWith(libraries + sep)) return read(path, ...rest)
      if (!known.has(path)) known.set(path, read(path, ...rest))
      return known.get(path)
    }
    const program = ts.createProgram(fileNames, options, host)
    const ours = program
      .getSourceFiles()
      .filter(({ fileName }) => !isForeign(fileName, project, libraries))
    const diagnostics = [
      ...errors,
      ...program.getConfigFileParsingDiagnostics(),
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...ours.flatMap((file) => [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ]),
    ]
    return { errors: ts.formatDiagnostics(diagnostics, host) }
  }
}

/** Runs TypeScript 7, which has no API, as a command. It checks everything. */
function byCommand(command) {
  return (project, config) => {
    fs.writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config))
    const { stdout, status, error } = spawnSync(process.execPath, [command, '--pretty', 'false'], {
      cwd: project,
      encoding: 'utf8',
    })
    if (error !== undefined) throw error
    const lines = stdout.split('\n').filter((line) => /^\S.*: error|^error/.test(line))
    const ours = lines.filter((line) => !/^node_modules\/(@types\/node|undici-types)\//.test(line))
    const errors = status !== 0 && lines.length === 0 ? `exit status ${status}` : ours.join('\n')
    return { errors }
  }
}

function compilerOf(version) {
  const compiler = join(folder, 'node_modules', `typescript-${version}`)
  const ts = createRequire(join(folder, 'package.json'))(`typescript-${version}`)
  if (ts.createProgram === undefined) return byCommand(join(compiler, 'bin', 'tsc'))
  return inProcess(ts, join(compiler, 'lib'))
}

/** Compilers between the oldest and the newest are tried once: what both of those accept, they accept too. */
function isTried(version, node, resolution) {
  const isBetween = version !== compilers[0] && version !== compilers.at(-1)
  return isFull || !isBetween || (node === '22' && resolution === 'nodenext')
}

const projects = new Map(typings.map((node) => [node, makeProject(node)]))
for (const version of compilers) {
  const compile = compilerOf(version)
  for (const [resolution, releases] of Object.entries(typingsOf)) {
    for (const node of releases) {
      if (!isTried(version, node, resolution)) continue
      const { errors } = compile(projects.get(node), configuration(resolution))
      const word = errors === '' ? 'ok' : 'FAILED'
      console.log(
        `${word}: TypeScript ${version}, @types/node ${node}, moduleResolution ${resolution}`,
      )
      if (errors !== '') {
        console.log(errors)
        process.exitCode = 1
      }
    }
  }
}
