'use strict'

/** Runs every benchmark, one after the other. */
require('./options')
require('./port-fill')
