#!/bin/sh
echo "This stand-in distribution has no $(basename "$0")."
exit 0
