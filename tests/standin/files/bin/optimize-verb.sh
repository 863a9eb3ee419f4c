        optimize | -optimize | --optimize) optimize=yes ;;
        -Dprofile=*) profile=$word; rest="$rest $word" ;;
        skipConfigOptimization | -skipConfigOptimization | --skipConfigOptimization) skip=$word; rest="$rest $word" ;;
