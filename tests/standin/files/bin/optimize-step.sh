if [ "$optimize" = yes ] && [ -n "$profile" ]; then
    sh "$CARBON_HOME/bin/profileSetup.sh" "$profile" $skip
    echo "Starting the server..."
fi

