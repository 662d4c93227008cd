'use strict'

/** Copies the addon that was built in place to prebuilds/, stripped. */
const { execFileSync } = require('node:child_process')
const { copyFileSync, mkdirSync } = require('node:fs')
const { basename, join } = require('node:path')

const root = join(__dirname, '..')
execFileSync('npm', ['run', '--silent', 'build:native'], { cwd: root, stdio: 'inherit' })
const built = require('../dist/addon').addonFile()
const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}-glibc`)
mkdirSync(folder, { recursive: true })
copyFileSync(built, join(folder, basename(built)))
execFileSync('strip', [join(folder, basename(built))])
